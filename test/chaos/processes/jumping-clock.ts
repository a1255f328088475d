// For node's --import: from here on the wall clock of the process jumps to and fro by an hour, and its timers are late. The query says
// how: ?seed=1&lateMs=20. A machine's own clock can't be set without harm to others; what reads it in a process is replaced instead.
import { Chance } from "../../codec/chance.ts";

const query = new URL(import.meta.url).searchParams;
const chance = new Chance(Number(query.get("seed") ?? 1));
const lateMs = Number(query.get("lateMs") ?? 0);
const HOUR_MS = 3_600_000;
const EVERY_MS = 20;

const RealDate = Date;
const { setTimeout: realTimeout, setInterval: realInterval } = globalThis;
let offsetMs = 0;

class JumpingDate extends RealDate {
  constructor(...args: readonly unknown[]) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...(args as [number]));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = JumpingDate as DateConstructor;
realInterval(() => {
  offsetMs = chance.pick([-HOUR_MS, 0, HOUR_MS]);
}, EVERY_MS).unref();

if (lateMs > 0) {
  const late = (delayMs: number | undefined): number => (delayMs ?? 0) + chance.int(0, lateMs);
  globalThis.setTimeout = Object.assign(
    (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) =>
      realTimeout(callback, late(delayMs), ...args),
    { __promisify__: realTimeout.__promisify__ },
  ) as typeof setTimeout;
  globalThis.setInterval = ((callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) =>
    realInterval(callback, late(delayMs), ...args)) as typeof setInterval;
}
