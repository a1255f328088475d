import { setTimeout as delay } from "node:timers/promises";
import { rawReset } from "bowline/testing";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { type RawScript, RawServer } from "../../fleet/raw-server.ts";
import { Ledger } from "../../ledger/ledger.ts";

const REFUSED_STREAM = 7;
const REFUSED_SHARE = 0.3;
const SERVERS = 3;
const CLIENTS = 2;

/** Servers refuse three of ten calls, some as soon as they come, some when all of the request is there. */
export const refusedStreams: Experiment = {
  number: 8,
  name: "REFUSED_STREAM on 30 % of the calls",
  promise: "every call succeeds with its second attempt at the latest, and no refused one is served",
  fullMinutes: 2,
  needsRoot: false,
  run,
};

async function run({ isShort, seed, minutes }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const attempts = new Map<string, number>();
  const refusing: RefusingServers = new RefusingServers(fleet, attempts);
  await using servers = await refusing.start();
  await fleet.startClients(CLIENTS, `static:///${servers.all.map(({ address }) => address).join(",")}`);
  await fleet.ready(SERVERS);
  const load = { perSecond: isShort ? 200 : 500, writeShare: 1, fillingBytes: 300, timeoutMs: 10_000 };
  fleet.load(await fleet.bearable(load));
  await delay(isShort ? 3000 : (minutes ?? 2) * 60_000);
  fleet.load({ perSecond: 0 });
  await fleet.quiet();
  const runs = servers.all.flatMap((server) => server.runs);
  const { faults, ...figures } = new Ledger(await fleet.finish(), runs).balance(() => false);
  let mostAttempts = 0;
  for (const each of attempts.values()) mostAttempts = Math.max(mostAttempts, each);
  const found = [...faults, ...servers.all.flatMap((server) => server.faults)];
  if (mostAttempts > 2) found.push(`a call that was refused once was attempted ${mostAttempts} times`);
  if (refusing.refused === 0) found.push("no call was refused");
  return { figures: { ...figures, refused: refusing.refused, mostAttempts }, faults: found };
}

/** Servers that refuse a share of the calls, no call twice. */
class RefusingServers {
  refused = 0;
  readonly #fleet: Fleet;
  readonly #attempts: Map<string, number>;

  constructor(fleet: Fleet, attempts: Map<string, number>) {
    this.#fleet = fleet;
    this.#attempts = attempts;
  }

  async start(): Promise<AsyncDisposable & { readonly all: readonly RawServer[] }> {
    const all = await Promise.all(Array.from({ length: SERVERS }, () => this.#startOne()));
    return {
      all,
      [Symbol.asyncDispose]: async () => {
        await Promise.all(all.map((server) => server[Symbol.asyncDispose]()));
      },
    };
  }

  async #startOne(): Promise<RawServer> {
    const server: RawServer = await RawServer.start(() => this.#script(() => server));
    return server;
  }

  #script(server: () => RawServer): RawScript {
    /** Refused once the request is complete, and refused at all. */
    const late = new Set<number>();
    const gone = new Set<number>();
    return {
      called: (connection, { streamId, client, sequence }) => {
        const key = `${client}/${sequence}`;
        const attempt = (this.#attempts.get(key) ?? 0) + 1;
        this.#attempts.set(key, attempt);
        if (attempt > 1 || !this.#fleet.chance.odds(REFUSED_SHARE)) return;
        this.refused++;
        if (this.#fleet.chance.odds(0.5)) late.add(streamId);
        else connection.send(rawReset(streamId, REFUSED_STREAM));
        gone.add(streamId);
      },
      requested: (connection, call) => {
        if (late.delete(call.streamId)) connection.send(rawReset(call.streamId, REFUSED_STREAM));
        if (!gone.delete(call.streamId)) server().answer(connection, call);
      },
    };
  }
}
