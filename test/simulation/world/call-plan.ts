import { Code } from "bowline";
import type { Dice } from "../engine/dice.ts";
import type { KnotMethod } from "./knots.ts";

/** How a handler ends: with its answers, with a status, with an error that is none, or only when it is told to stop. */
export type Ending = "ok" | "status" | "throw" | "hang";

/** All that is decided of a call before the run begins. */
export interface CallPlan {
  readonly id: number;
  readonly method: KnotMethod;
  readonly client: number;
  /** When it starts, in ms of the run. */
  readonly atMs: number;
  readonly timeoutMs: number;
  readonly waitForReady: boolean;
  /** Cancelled by its signal after so many ms. */
  readonly cancelAfterMs: number | null;
  /** Streams of answers: left after so many. */
  readonly leaveAfter: number | null;
  readonly compression: "gzip" | "identity";
  /** Sizes of the messages, in octets. */
  readonly requests: readonly number[];
  readonly answers: readonly number[];
  /** Pauses between messages, in ms: of who sends requests, of who reads answers, of the handler before each of its steps. */
  readonly requestPauseMs: number;
  readonly answerPauseMs: number;
  readonly handlerMs: number;
  readonly ending: Ending;
  /** Of `status`. */
  readonly code: Code;
}

const METHODS: readonly KnotMethod[] = ["tie", "tie", "look", "look", "list", "gather", "chat"];
const ENDINGS: readonly Ending[] = [...Array<Ending>(15).fill("ok"), "status", "status", "throw", "hang"];
const CODES: readonly Code[] = [Code.UNAVAILABLE, Code.UNAVAILABLE, Code.FAILED_PRECONDITION, Code.NOT_FOUND];
/** Larger messages are compressed in threads, whose time no virtual clock holds. */
const MAX_COMPRESSED_BYTES = 30_000;
const MAX_BYTES = 100_000;

/** Draws a call that starts before `untilMs`. */
export function drawCall(id: number, dice: Dice, clients: number, untilMs: number): CallPlan {
  const method = dice.pick(METHODS);
  const isCompressed = dice.chance(0.2);
  const most = isCompressed ? MAX_COMPRESSED_BYTES : MAX_BYTES;
  const sizes = (isStream: boolean): number[] => {
    return Array.from({ length: isStream ? dice.whole(0, 6) : 1 }, () => drawSize(dice, most));
  };
  return {
    id,
    method,
    client: dice.whole(0, clients - 1),
    atMs: dice.between(0, untilMs),
    timeoutMs: dice.between(30, 2500),
    waitForReady: dice.chance(0.5),
    cancelAfterMs: dice.chance(0.1) ? dice.between(0, 400) : null,
    leaveAfter: dice.chance(0.1) ? dice.whole(0, 3) : null,
    compression: isCompressed ? "gzip" : "identity",
    requests: sizes(method === "gather" || method === "chat"),
    answers: sizes(method === "list" || method === "chat"),
    requestPauseMs: dice.chance(0.3) ? dice.between(0, 100) : 0,
    answerPauseMs: dice.chance(0.3) ? dice.between(0, 200) : 0,
    handlerMs: dice.chance(0.5) ? dice.between(0, 150) : 0,
    ending: dice.pick(ENDINGS),
    code: dice.pick(CODES),
  };
}

/** Small ones mostly; the edges of envelopes, frames and windows now and then. */
function drawSize(dice: Dice, most: number): number {
  const chance = dice.random();
  if (chance < 0.1) return 0;
  if (chance < 0.5) return dice.whole(1, 100);
  if (chance < 0.85) return dice.whole(100, 2000);
  if (chance < 0.9) return Math.min(most, dice.whole(16_300, 16_450));
  if (chance < 0.97) return dice.whole(2000, 20_000);
  return dice.whole(20_000, most);
}
