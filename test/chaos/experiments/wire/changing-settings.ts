import { setTimeout as delay } from "node:timers/promises";
import { RawSetting, rawSettings } from "bowline/testing";
import type { Chance } from "../../../codec/chance.ts";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { RawClient } from "../../fleet/raw-client.ts";
import { FrameType } from "../../fleet/raw-connection.ts";
import { type RawScript, RawServer } from "../../fleet/raw-server.ts";
import { type SettingPairs, SettingsJudge } from "../../fleet/settings-judge.ts";
import { Ledger } from "../../ledger/ledger.ts";

const CLIENTS = 2;
const MIB = 1_048_576;
/** Number of the calls that no client process makes. */
const RAW = 1000;
const LARGEST_ID = 0x7fffffff;
/** A connection's ids last for this time. Not less: a server that drops its clients each second is given a pause. */
const IDS_LAST_S = 1.5;

/** Peers change their SETTINGS all the time, and stream ids run out. */
export const changingSettings: Experiment = {
  number: 23,
  name: "SETTINGS that change under load, stream ids that run out",
  promise: "no call fails, and nothing is sent that the SETTINGS in force forbid",
  fullMinutes: 4,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const parts = [await clientUnderChange(scale), await serverUnderChange(scale), await clientOutOfIds(scale)];
  const figures = Object.assign({}, ...parts.map((part) => part.figures)) as Record<string, number>;
  return { figures, faults: parts.flatMap(({ faults }) => faults.slice(0, 5)) };
}

/** Other SETTINGS, drawn from the extremes. */
function draw(chance: Chance, isServer: boolean): SettingPairs {
  const pairs: (readonly [number, number])[] = [
    [RawSetting.INITIAL_WINDOW_SIZE, chance.pick([0, 1, 65_535, MIB])],
    // Often two sizes: the table is down to the first for no time at all, and must be emptied all the same.
    ...chance.pick([[0], [4096], [65_536], [0, 65_536], [100, 4096]]).map((size) => tableSize(size)),
    [RawSetting.MAX_FRAME_SIZE, chance.pick([16_384, 65_536])],
  ];
  return isServer ? [...pairs, [RawSetting.MAX_CONCURRENT_STREAMS, chance.pick([1, 10, 100])]] : pairs;
}

function tableSize(bytes: number): readonly [id: number, bytes: number] {
  return [RawSetting.HEADER_TABLE_SIZE, bytes];
}

/** What all can work with: the last SETTINGS of a run. */
function calm(isServer: boolean): SettingPairs {
  const pairs: SettingPairs = [
    [RawSetting.INITIAL_WINDOW_SIZE, MIB],
    [RawSetting.HEADER_TABLE_SIZE, 4096],
  ];
  return isServer ? [...pairs, [RawSetting.MAX_CONCURRENT_STREAMS, 100]] : pairs;
}

/** A scripted server changes its mind while clients call it. */
async function clientUnderChange({ isShort, seed, minutes }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const judges: SettingsJudge[] = [];
  await using server: RawServer = await RawServer.start((number) => judged(() => server, judges, number));
  await fleet.startClients(CLIENTS, server.address, { maxConnectionsPerEndpoint: 1 });
  await Promise.all(fleet.clients.map((client) => client.connect()));
  const load = { perSecond: isShort ? 150 : 500, writeShare: 1, fillingBytes: 3000, timeoutMs: 20_000 };
  fleet.load(await fleet.bearable(load));
  const endsAt = performance.now() + (isShort ? 2000 : (minutes ?? 1) * 60_000);
  let changes = 0;
  while (performance.now() < endsAt) {
    await delay(fleet.chance.int(1, 60));
    changes++;
    for (const [number, judge] of judges.entries()) change(server, judge, number, draw(fleet.chance, true));
  }
  for (const [number, judge] of judges.entries()) change(server, judge, number, calm(true));
  fleet.load({ perSecond: 0 });
  await fleet.quiet();
  const { calls, faults } = new Ledger(await fleet.finish(), server.runs).balance(() => false);
  const found = [...faults, ...server.faults, ...judges.flatMap((judge) => judge.faults)];
  return { figures: { calls, changes }, faults: found.map((fault) => `client: ${fault}`) };
}

/** Answers everything, and watches what comes. */
function judged(server: () => RawServer, judges: SettingsJudge[], number: number): RawScript {
  const judge = new SettingsJudge();
  judges[number] = judge;
  judge.sent([]);
  return {
    arrived: (_connection, frame) => {
      judge.arrived(frame);
      if (frame.type === FrameType.RST_STREAM) judge.closed(frame.streamId);
    },
    requested: (connection, call) => {
      judge.closed(call.streamId);
      server().answer(connection, call);
    },
  };
}

function change(server: RawServer, judge: SettingsJudge, number: number, pairs: SettingPairs): void {
  judge.sent(pairs);
  server.connections[number]?.send(rawSettings(pairs));
}

/** A scripted client changes its mind while a server answers it, and uses the very last stream ids. */
async function serverUnderChange({ isShort, seed }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const server = await fleet.startServer();
  const faults: string[] = [];
  let answered = 0;
  for (let round = 0; round < (isShort ? 3 : 60); round++) {
    const calls = 200;
    const client = await RawClient.open(server.address, LARGEST_ID - 2 * (calls - 1), calm(false));
    const ends: Promise<string | null>[] = [];
    while (client.hasIds) {
      ends.push(client.read(RAW, round * calls + ends.length, fleet.chance.int(0, 60_000)));
      if (fleet.chance.odds(0.3)) client.change(draw(fleet.chance, false));
      if (fleet.chance.odds(0.3)) await delay(1);
    }
    client.change(calm(false));
    const found = (await Promise.all(ends)).filter((fault) => fault !== null);
    answered += ends.length - found.length;
    faults.push(...found.slice(0, 2), ...client.judge.faults);
    client.close();
  }
  const { begun, running } = await server.report();
  if (begun !== answered || running > 0)
    faults.push(`${begun} handlers were begun for ${answered} calls, ${running} still run`);
  return { figures: { answered }, faults: faults.map((fault) => `server: ${fault}`) };
}

/** A client whose connections run out of ids all the time. */
async function clientOutOfIds({ isShort, seed }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const perSecond = isShort ? 150 : 500;
  const callsEach = perSecond * IDS_LAST_S;
  const maxStreamId = callsEach * 2 - 1;
  const faults: string[] = [];
  await using server: RawServer = await RawServer.start(() => ({
    requested: (connection, call) => {
      if (call.streamId > maxStreamId)
        faults.push(`stream ${call.streamId} was opened, the last was to be ${maxStreamId}`);
      server.answer(connection, call);
    },
  }));
  await fleet.startClients(CLIENTS, server.address, { limits: { maxStreamId } });
  await Promise.all(fleet.clients.map((client) => client.connect()));
  fleet.load({ perSecond, writeShare: 1, timeoutMs: 10_000 });
  await delay(isShort ? 4000 : 60_000);
  const balance = new Ledger(await fleet.finish(), server.runs).balance(() => false);
  const connections = server.connections.length;
  const fewest = Math.floor(balance.calls / callsEach);
  if (connections < fewest) faults.push(`${connections} connections carried ${balance.calls} calls`);
  const all = [...balance.faults, ...faults, ...server.faults];
  return {
    figures: { idCalls: balance.calls, idConnections: connections },
    faults: all.map((fault) => `ids: ${fault}`),
  };
}
