// `library-program.ts LIBRARY`: prepares the messages of a kind for each line `{"prepare":KIND}` and checks that the library gets them right,
// then for each line `{"kind":…,"direction":…,"seconds":…}` encodes or decodes them for so long, and prints how many it did in how much CPU time.
import { createInterface } from "node:readline";
import { announce, printLine } from "../../test/peers/peer-lines.ts";
import { type MessageKind, type MessageSet, meanBytes, messagesOf } from "../messages/message-kind.ts";
import { checkPasses } from "./check-passes.ts";
import { LIBRARIES } from "./libraries.ts";
import type { Direction, Passes } from "./library.ts";

/** CPU time between two looks at the clock, in µs: so much that looking costs nothing. */
const STRIDE_US = 1000;

const library = LIBRARIES[process.argv[2]];
const prepared = new Map<MessageKind, { readonly set: MessageSet; readonly passes: Passes }>();

/** A line on stdin. */
type Order =
  | { readonly prepare: MessageKind }
  | { readonly kind: MessageKind; readonly direction: Direction; readonly seconds: number };

announce({});
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  if ("prepare" in order) prepare(order.prepare);
  else printLine({ ...run(order.kind, order.direction, order.seconds), messageBytes: sizeOf(order.kind) });
}

function prepare(kind: MessageKind): void {
  const set = messagesOf(kind);
  const passes = library.prepare(set);
  checkPasses(set, passes);
  prepared.set(kind, { set, passes });
  printLine({ prepared: kind });
}

function sizeOf(kind: MessageKind): number {
  return meanBytes((prepared.get(kind) ?? unprepared(kind)).set);
}

/** Messages that were encoded or decoded in so many seconds of this process's CPU time, collecting the garbage included. */
function run(kind: MessageKind, direction: Direction, seconds: number): { messages: number; cpuSeconds: number } {
  const { set, passes } = prepared.get(kind) ?? unprepared(kind);
  const pass = passes[direction] ?? unprepared(kind);
  // The young garbage of the row before is not this one's.
  (globalThis as { gc?: (options: { type: "minor" }) => void }).gc?.({ type: "minor" });
  let messages = 0;
  let atOnce = 1;
  for (const before = cpuUs(); ; ) {
    for (let i = 0; i < atOnce; i++) pass();
    messages += atOnce * set.bytes.length;
    const elapsedUs = cpuUs() - before;
    if (elapsedUs >= seconds * 1e6) return { messages, cpuSeconds: elapsedUs / 1e6 };
    if (elapsedUs < STRIDE_US) atOnce *= 2;
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function unprepared(kind: MessageKind): never {
  throw new Error(`${process.argv[2]} has nothing to run for ${kind}`);
}
