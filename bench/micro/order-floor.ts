// How far the decoder of orders is from what the engine takes for the objects alone: ns of CPU a message, medians of interleaved rounds.
// Run: node bench/micro/order-floor.ts
//
// The floor knows where each value of a message lies and how long it is: straight code for that very message makes its texts, numbers and
// objects. No tag or length is read, nothing is looked for or checked. A decoder that makes these objects stays above it, unless it
// finds a faster way to make texts.

import { create } from "@bufbuild/protobuf";
import { type Order, OrderSchema } from "../gen/bench/v1/order_pb.ts";
import { OrderCodec } from "../gen/bench/v1/order_rpc.ts";
import { messagesOf } from "../messages/message-kind.ts";

const ROUNDS = 25;
const CALLS = 20_000;
/** Few, so that straight code for each of them stays in the processor's caches. */
const MESSAGES = 8;
/** Texts of more bytes are made by the runtime, shorter ones by one call of fromCharCode. */
const LONGEST_READ = 24;

const set = messagesOf("order");
const messages = set.messages.slice(0, MESSAGES) as Order[];
const bytes = set.bytes.slice(0, MESSAGES).map((each) => Buffer.from(each));

/** Straight code that makes `value`, whose texts are taken from where they lie in `source`. */
function making(value: unknown, source: Buffer): string {
  if (typeof value === "string") return makingText(value, source);
  if (typeof value === "bigint") return `BigInt(b[${Number(value & 1023n)}])`;
  if (typeof value === "number") return Number.isInteger(value) ? `b[${value & 1023}]` : `(f[0] = b[7], f[0] + 0.5)`;
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map((each) => making(each, source)).join(", ")}]`;
  const fields = Object.entries(value).map(([key, each]) => {
    return `${JSON.stringify(key)}: ${key === "$typeName" ? JSON.stringify(each) : making(each, source)}`;
  });
  return `{ ${fields.join(", ")} }`;
}

function makingText(text: string, source: Buffer): string {
  const encoded = Buffer.from(text);
  const at = source.indexOf(encoded);
  if (encoded.length === 0) return '""';
  const isPlain = encoded.every((byte) => byte < 128);
  if (!isPlain || encoded.length > LONGEST_READ) return `b.utf8Slice(${at}, ${at + encoded.length})`;
  return `fromCharCode(${Array.from(encoded, (_, i) => `b[${at + i}]`).join(", ")})`;
}

const floats = new Float64Array(1);
const shared = { fromCharCode: String.fromCharCode, f: floats };
const compile = (parameter: string, body: string): ((argument: unknown) => unknown) =>
  new Function(...Object.keys(shared), `return (${parameter}) => { ${body} };`)(...Object.values(shared));
const makers = messages.map((message, index) => compile("b", `return ${making(message, bytes[index])};`));
for (const [index, maker] of makers.entries()) {
  const texts = (value: object): string =>
    JSON.stringify(value, (_, each) => (typeof each === "number" || typeof each === "bigint" ? 0 : each));
  if (texts(maker(bytes[index]) as object) !== texts(create(OrderSchema, messages[index])))
    throw new Error(`the floor makes another message ${index}`);
}

let kept: unknown;
const contestants: Readonly<Record<string, (index: number) => unknown>> = {
  decode: (index) => OrderCodec.read(bytes[index], 0, bytes[index].length),
  "decode floor": (index) => makers[index](bytes[index]),
};

function nanoseconds(one: (index: number) => unknown): number {
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call++) kept = one(call % MESSAGES);
  return (process.cpuUsage(before).user * 1000) / CALLS;
}

const seen = Object.values(contestants).map((one) => ({ one, ns: [] as number[] }));
for (let round = -3; round < ROUNDS; round++) {
  for (const { one, ns } of seen) {
    const each = nanoseconds(one);
    if (round >= 0) ns.push(each);
  }
}
if (kept === undefined) throw new Error("nothing was measured");
console.log("what           ns a message");
for (const [at, name] of Object.keys(contestants).entries()) {
  const median = seen[at].ns.sort((a, b) => a - b)[ROUNDS >> 1];
  console.log(name.padEnd(14), median.toFixed(0).padStart(12));
}
