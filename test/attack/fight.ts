import { setTimeout as delay } from "node:timers/promises";
import { Arena } from "./arena.ts";
import { AttackedClient } from "./attacked-client.ts";
import type { Caller } from "./caller.ts";
import { judgeHonest, type Siege, shownHonest, ThroughputError, windowAfter, windowBefore } from "./honest-verdict.ts";
import { judgeMemory, type Memory, mib, shownMemory, type Victim } from "./memory-verdict.ts";
import { judgeReasons, type Misdeeds } from "./reason-verdict.ts";
import type { Form, Row } from "./row.ts";

/** How a row came out. */
export interface Verdict {
  readonly row: number;
  readonly role: "server" | "client";
  readonly title: string;
  readonly required: string;
  /** What was measured, or why it did not pass. */
  readonly seen: string;
  readonly passed: boolean;
  readonly seconds: number;
}

/** The process that is attacked, and what it says of it. */
interface Besieged extends Victim {
  misdeeds(): Promise<Misdeeds>;
}

/** One attack on one victim. */
interface Fight {
  readonly row: Row;
  readonly form: Form;
  readonly caller: Caller;
  readonly victim: Besieged;
  readonly attack: (round: number) => Promise<string>;
  readonly hangUp: () => void;
}

const RSS_SAMPLE_MS = 50;
/** A siege whose honest throughput is too small is laid again: the machine may have been busy with something else. */
const MAX_SIEGES = 3;
/** A siege goes on until the attacker has had as much CPU as the honest client, for this many windows at most: some attacks only wait. */
const MAX_WINDOWS = 3;

/** Runs one row and judges it: the row's own figure, and what is asked of all rows. With fresh processes, or in an arena. */
export async function fight(row: Row, form: Form, arena?: Arena): Promise<Verdict> {
  const { row: number, role, title, required } = row;
  const begunAt = performance.now();
  const verdict = (seen: string, passed: boolean): Verdict => {
    return { row: number, role, title, required, seen, passed, seconds: (performance.now() - begunAt) / 1000 };
  };
  try {
    if (arena !== undefined && Arena.isFor(row)) return verdict(await inArena(row, form, arena), true);
    await using own = await Arena.start(form, row);
    return verdict(await inArena(row, form, own), true);
  } catch (error) {
    return verdict(error instanceof Error ? error.message : String(error), false);
  }
}

async function inArena(row: Row, form: Form, { server, caller }: Arena): Promise<string> {
  if (row.role === "server") {
    const attack = (round: number): Promise<string> => row.attack(server, form, round);
    return await besiege({ row, form, caller, victim: server, attack, hangUp: () => server.hangUp() });
  }
  await using client = await AttackedClient.start(caller);
  const attack = (round: number): Promise<string> => row.attack(client, form, round);
  return await besiege({ row, form, caller, victim: caller, attack, hangUp: () => {} });
}

async function besiege(fight: Fight): Promise<string> {
  const { row, form, victim } = fight;
  const misdeedsBefore = await victim.misdeeds();
  const parts = form.settleMs === 0 ? await onceOnly(fight) : await withFigures(fight);
  judgeReasons(row, misdeedsBefore, await victim.misdeeds());
  return parts.join("; ");
}

/** The short form: the row's own figure, and that no honest call fails. */
async function onceOnly(fight: Fight): Promise<string[]> {
  const { siege, seen } = await laySiege(fight, 0);
  judgeHonest(fight.row, fight.form, siege);
  return [seen];
}

async function withFigures(fight: Fight): Promise<string[]> {
  const { row, form, victim, attack, hangUp } = fight;
  // A process keeps the pages of its busiest moment; what an attack leaks grows with each round.
  const seen = await attack(0);
  hangUp();
  const before = await victim.memory();
  let rounds = 1;
  for (let sieges = 1; ; sieges++) {
    const { siege, rounds: laid, peakBytes } = await laySiege(fight, rounds);
    rounds += laid;
    try {
      judgeHonest(row, form, siege);
    } catch (error) {
      if (sieges < MAX_SIEGES && error instanceof ThroughputError) continue;
      throw error;
    }
    const memory = await memoryShown(fight, before, peakBytes, async () => {
      for (let i = 0; i < laid; i++) await attack(rounds++);
      hangUp();
    });
    return [seen, `${laid} rounds`, shownHonest(siege), memory];
  }
}

/**
 * Honest calls before, during and after attacks that follow each other without pause. The attacker is a process of its own, as the
 * honest client is; its pace has no bound, and what CPU time both had is told.
 */
async function laySiege(
  fight: Fight,
  firstRound: number,
): Promise<{ siege: Siege; rounds: number; seen: string; peakBytes: number }> {
  const { form, caller, victim, attack, hangUp } = fight;
  const before = await windowBefore(caller, form);
  let peakBytes = victim.residentBytes;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, victim.residentBytes);
  }, RSS_SAMPLE_MS);
  const cpu = process.cpuUsage();
  const honestCpuMs = caller.cpuMs;
  let rounds = 0;
  let seen = "";
  try {
    const begunAt = performance.now();
    const isWeak = (): boolean => cpuMsSince(cpu) < caller.cpuMs - honestCpuMs;
    const isOver = (windows: number): boolean => performance.now() - begunAt >= windows * form.windowMs;
    do seen = await attack(firstRound + rounds++);
    while (rounds < form.maxRounds && (!isOver(1) || (isWeak() && !isOver(MAX_WINDOWS))));
    await delay(begunAt + form.windowMs - performance.now());
  } finally {
    clearInterval(sampler);
  }
  const cpuMs = { attackerCpuMs: cpuMsSince(cpu), honestCpuMs: caller.cpuMs - honestCpuMs };
  const during = await caller.mark();
  hangUp();
  const after = await windowAfter(caller, form, before);
  return { siege: { before, during, after, ...cpuMs }, rounds, seen, peakBytes };
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function memoryShown(
  { form, victim }: Fight,
  before: Memory,
  peakBytes: number,
  again: () => Promise<void>,
): Promise<string> {
  const { after, isBack } = await judgeMemory(victim, before, form.settleMs, again);
  const plateau = isBack ? "" : ": pages kept, no more of them with a further siege";
  return `${shownMemory(before)}, peak ${mib(peakBytes)}, after ${shownMemory(after)}${plateau}`;
}
