import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import { encodeLiterals, grpcResponseFields, rawHeaders } from "bowline/testing";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { freePorts } from "../../fleet/free-ports.ts";
import { RawServer } from "../../fleet/raw-server.ts";
import type { Release } from "../../processes/orders.ts";
import { rounds } from "../../rounds.ts";

const SERVERS = 3;
const STOP_MS = 3000;
/** What a peer of a later release may send as a status, and older ones have no name for. */
const UNKNOWN_CODES = ["17", "99", "4294967296", "-1"];

/** A fleet is moved to a release with more fields, enum values and methods, and back, while clients of both releases call it. */
export const upgradeSkew: Experiment = {
  number: 25,
  name: "old and new releases side by side",
  promise:
    "no call fails, what a release does not know goes through it unchanged, and codes without a name are UNKNOWN",
  fullMinutes: 2,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const upgrade = await upgradeUnderLoad(scale);
  const codes = await unknownCodes(scale.seed);
  return { figures: { ...upgrade.figures, ...codes.figures }, faults: [...upgrade.faults, ...codes.faults] };
}

async function upgradeUnderLoad(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  await using fleet = new Fleet(seed);
  const addresses = (await freePorts(SERVERS, fleet.chance)).map((port) => `127.0.0.1:${port}`);
  const start = (listen: string, release: Release): Promise<ChaosServer> =>
    fleet.startServer({ release, options: { listen, drainAcceptMs: 100 } });
  const live = await Promise.all(addresses.map((address) => start(address, "old")));
  const target = `static:///${addresses.join(",")}`;
  await Promise.all((["old", "new"] as const).map((release) => fleet.startClient(target, {}, { release })));
  await fleet.ready(SERVERS);
  const load = { perSecond: isShort ? 100 : 500 };
  fleet.load(await fleet.bearable(load));
  let restarts = 0;
  for (const round of rounds(scale, 1, 5)) {
    const release: Release = round % 2 === 0 ? "new" : "old";
    for (let place = 0; place < SERVERS; place++) {
      await (live[place] as ChaosServer).leave(STOP_MS);
      live[place] = await start(addresses[place] as string, release);
      await fleet.ready(SERVERS);
      restarts++;
    }
  }
  await delay(300);
  const { logs: _, repeated: __, faults, ...figures } = await fleet.balance(() => false);
  return { figures: { restarts, ...figures }, faults };
}

/** Calls that end with statuses of a later gRPC. */
async function unknownCodes(seed: number): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  let answered = 0;
  await using server = await RawServer.start(() => ({
    requested: (connection, { streamId }) => {
      const code = UNKNOWN_CODES[answered++ % UNKNOWN_CODES.length] as string;
      const fields = encodeLiterals(grpcResponseFields([["grpc-status", code]]));
      connection.send(rawHeaders(streamId, fields, { end: true }));
    },
  }));
  const client = await fleet.startClient(server.address);
  client.burst({ perSecond: 40, writeShare: 0.5 });
  await fleet.quiet();
  const [log] = await fleet.finish();
  const wrong =
    log?.failures.filter(({ code }) => code !== Code.UNKNOWN).map(({ code, text }) => `code ${code}: ${text}`) ?? [];
  if (log?.failures.length !== answered) wrong.push(`${log?.failures.length} calls failed of ${answered}`);
  return { figures: { unknownCodes: answered }, faults: [...wrong.slice(0, 3), ...server.faults] };
}
