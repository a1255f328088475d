import { rawGoaway, rawPing } from "bowline/testing";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { RawConnection } from "../../fleet/raw-connection.ts";
import { type RawCall, type RawScript, RawServer } from "../../fleet/raw-server.ts";
import { Ledger } from "../../ledger/ledger.ts";
import { rounds } from "../../rounds.ts";

const CALLS = 1000;
const NO_ERROR = 0;
const ENHANCE_YOUR_CALM = 11;
/** The first of two GOAWAYs of a server that leaves in order. */
const ALL = 0x7fffffff;

/** A way to go away: which calls it takes (those with ids up to the last that it names), and what it says. */
interface Farewell {
  readonly name: string;
  readonly say: (connection: RawConnection, last: number) => void;
  /** Of the calls that have come, 0..1. */
  readonly takenShare: number;
}

const FAREWELLS: readonly Farewell[] = [
  { name: "NO_ERROR", takenShare: 0.5, say: (connection, last) => connection.send(rawGoaway(last, NO_ERROR)) },
  {
    name: "ENHANCE_YOUR_CALM",
    takenShare: 0.5,
    say: (connection, last) => connection.send(rawGoaway(last, ENHANCE_YOUR_CALM, "calm down")),
  },
  { name: "last id 0", takenShare: 0, say: (connection) => connection.send(rawGoaway(0, NO_ERROR)) },
  {
    name: "in two steps",
    takenShare: 0.3,
    say: (connection, last) => connection.send(rawGoaway(ALL, NO_ERROR), rawPing(), rawGoaway(last, NO_ERROR)),
  },
  {
    name: "a second one with less",
    takenShare: 0.2,
    say: (connection, last) => connection.send(rawGoaway(last + 200, NO_ERROR), rawGoaway(last, ENHANCE_YOUR_CALM)),
  },
];

/** A server goes away while 1,000 calls that must not be repeated are on their way to it. */
export const goaway: Experiment = {
  number: 7,
  name: "GOAWAY with 1,000 calls in flight",
  promise: "no call fails; those above the last id are served elsewhere, and none is served twice",
  fullMinutes: 2,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const figures: Record<string, number> = { calls: 0, sentAgain: 0, rounds: 0 };
  const faults: string[] = [];
  for (const round of rounds(scale, 1, 20)) {
    for (const farewell of FAREWELLS) {
      const { sentAgain, calls, faults: found } = await say(farewell, scale.seed + round);
      figures.rounds++;
      figures.calls += calls;
      figures.sentAgain += sentAgain;
      faults.push(...found.map((fault) => `${farewell.name}: ${fault}`));
    }
  }
  return { figures, faults };
}

async function say(farewell: Farewell, seed: number): Promise<{ sentAgain: number; calls: number; faults: string[] }> {
  await using fleet = new Fleet(seed);
  const taken = Math.floor(CALLS * farewell.takenShare);
  let sentAgain = 0;
  await using server: RawServer = await RawServer.start((number): RawScript => {
    if (number === 0) return leaving(() => server, farewell, taken);
    return {
      requested: (connection, call) => {
        sentAgain++;
        server.answer(connection, call);
      },
    };
  });
  const client = await fleet.startClient(server.address);
  await client.connect();
  client.burst({ perSecond: CALLS, writeShare: 1, timeoutMs: 20_000 });
  await fleet.quiet();
  const balance = new Ledger(await fleet.finish(), server.runs).balance(() => false);
  const faults = [...balance.faults, ...server.faults];
  if (sentAgain !== CALLS - taken) faults.push(`${sentAgain} calls were sent again, ${CALLS - taken} had to be`);
  return { sentAgain, calls: balance.calls, faults };
}

/** Waits until all calls are there, says farewell, and answers those that it has taken. */
function leaving(server: () => RawServer, { say: speak }: Farewell, taken: number): RawScript {
  const calls: RawCall[] = [];
  return {
    requested(connection, call) {
      calls.push(call);
      if (calls.length < CALLS) return;
      calls.sort((a, b) => a.streamId - b.streamId);
      speak(connection, taken === 0 ? 0 : (calls[taken - 1] as RawCall).streamId);
      for (const each of calls.slice(0, taken)) server().answer(connection, each);
    },
  };
}
