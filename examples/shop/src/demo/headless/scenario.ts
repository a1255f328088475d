import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { channelReport } from "../../instance/report.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { FleetInstance } from "../fleet/fleet-instance.ts";
import { Narrator, shareOf } from "../fleet/narrator.ts";
import { leftInRegistry } from "../fleet/run-folder.ts";
import { type Call, Traffic } from "../traffic/traffic.ts";
import type { Facts, Phase } from "./verdict.ts";

/** How a run goes. */
export interface ScenarioOptions {
  /** Deeds a second. */
  readonly rate: number;
  /** How long the whole takes, about; no phase gets shorter than it needs. */
  readonly seconds: number;
  /** Told of all that happens, with the seconds since the beginning. */
  readonly onEvent: (text: string) => void;
}

const LOOK_MS = 500;
/** The load at first is this part of what it will be. */
const WARM_UP = 5;
const FREEZE_MS = 3_000;
const CUT_MS = 4_000;
/** A new instance starts slowly, for 8 s; by then it should have its share. A loaded machine gets as much time again. */
const SETTLED_MS = 10_000;
const UNSETTLED_MS = 20_000;
const SHARE_OVER_MS = 3_000;

/** Seconds of each phase in a run of 30, and the least that it needs. */
const LENGTHS = {
  "warm-up": [2, 2],
  steady: [3, 2],
  kill: [5, 3],
  freeze: [5, 4],
  restart: [5, 4],
  registry: [6, 6],
  add: [10, 0],
} as const;

/** Breaks the shop in four ways while customers walk in and out, and tells what was seen. Stops the shop in the end. */
export async function runScenario(fleet: Fleet, options: ScenarioOptions): Promise<Facts> {
  const { rate, seconds, onEvent } = options;
  const calls: Call[] = [];
  const traffic = new Traffic(await fleet.clientOptions(), rate / WARM_UP, (call) => calls.push(call));
  await fleet.startAll();
  await traffic.shop.channel.connect();
  const narrator = new Narrator(fleet, onEvent);
  const watching = setInterval(() => {
    narrator.look(channelReport("storefront", traffic.shop.channel), performance.now());
  }, LOOK_MS);

  const phases: Phase[] = [];
  const phase = async (name: keyof typeof LENGTHS, act: () => unknown): Promise<void> => {
    const [usual, least] = LENGTHS[name];
    const from = performance.now();
    onEvent(`phase "${name}"`);
    await Promise.all([act(), delay(Math.max(least, (usual * seconds) / 30) * 1000)]);
    phases.push({ name, from, to: performance.now() });
  };

  let [killedAt, frozenAt, thawedAt, addedShare] = [0, 0, 0, 0];
  try {
    // A process that has just started compiles what it runs; on a small machine seven of them take their time.
    await phase("warm-up", () => traffic.start());
    await phase("steady", () => {
      traffic.rate = rate;
    });
    await phase("kill", () => {
      killedAt = performance.now();
      fleet.living("inventory")[0].kill();
    });
    await phase("freeze", async () => {
      const [victim] = fleet.living("order");
      frozenAt = performance.now();
      victim.freeze();
      await delay(FREEZE_MS);
      thawedAt = performance.now();
      await victim.thaw();
    });
    await phase("restart", () => fleet.restart(fleet.living("user")[0]));
    if (fleet.registry.canBeKilled) {
      await phase("registry", async () => {
        await fleet.cutOrMendRegistry();
        await delay(CUT_MS);
        // Whoever joins while it is away is known as soon as it is back.
        await fleet.cutOrMendRegistry();
      });
    }
    await phase("add", async () => {
      addedShare = await shareOfNew(fleet, await fleet.start("inventory"));
    });
    await traffic.stop();
  } finally {
    clearInterval(watching);
  }
  const counted = countsOf(traffic);
  traffic.close();
  const fairShare = 1 / fleet.living("inventory").length;
  await fleet.stopAll();
  return {
    calls,
    counted,
    phases,
    killedAt,
    frozenAt,
    thawedAt,
    addedShare,
    fairShare,
    leftBehind: await leftBehind(fleet),
  };
}

/** The share of a new instance once it has settled; waits longer if that is too little. */
async function shareOfNew(fleet: Fleet, added: FleetInstance): Promise<number> {
  const begun = performance.now();
  for (;;) {
    await delay(LOOK_MS);
    const now = performance.now();
    const all = fleet.living(added.service);
    const share = shareOf(added, all, SHARE_OVER_MS, now);
    if (now - begun > UNSETTLED_MS || (now - begun > SETTLED_MS && share >= 1 / all.length / 2)) return share;
  }
}

function countsOf({ shop }: Traffic): Facts["counted"] {
  let [started, ended] = [0, 0];
  for (const stats of shop.channel.stats) {
    started += stats.started;
    ended += stats.byCode.reduce((sum, count) => sum + count, 0);
  }
  return { started, ended };
}

/** What there is still of a shop that was stopped: processes, lease files, ports that take connections. */
async function leftBehind({ instances, folders }: Fleet): Promise<string[]> {
  const found = instances.filter(({ pid }) => isRunning(pid)).map(({ name, pid }) => `process ${pid} of ${name}`);
  for (const file of leftInRegistry(folders)) found.push(`file ${file} in the registry`);
  for (const { name, address } of instances) if (await isOpen(address)) found.push(`port ${address} of ${name}`);
  return found;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isOpen(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
