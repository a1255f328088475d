// How far codecs of orders are from what the engine takes for the values alone: ns of CPU a message, medians of interleaved rounds.
// Run: node bench/micro/order-floor.ts
//
// The floors know where each value of a message lies and how long it is: straight code for that very message. The decoder's makes its texts,
// numbers and objects; no tag or length is read, nothing is looked for or checked. A decoder that makes these objects stays above it, unless
// it has their texts already, as ours has those of 25 to 64 bytes that came before. The encoder's reads each property and writes its value
// where it belongs, by the writers that all encoders use; tags and lengths are constants, and nothing is asked for that is not there.

import { create } from "@bufbuild/protobuf";
import { writeDouble, writeInt32, writeInt64, writeSint32, writeText } from "bowline/codegen";
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
/** One behind the other, as a connection reads them. */
const chunk = Buffer.concat(bytes);
const starts = bytes.map((_, index) => Buffer.concat(bytes.slice(0, index)).length);
const out = Buffer.alloc(65_536);

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

/** Straight code that writes all values of `value`, which `path` leads to, one behind the other. */
function* writing(value: unknown, path: string): Generator<{ code: string; bytes: number }> {
  if (Array.isArray(value)) for (const [i, each] of value.entries()) yield* writing(each, `${path}[${i}]`);
  else if (typeof value === "object" && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      if (key !== "$typeName") yield* writing(each, `${path}[${JSON.stringify(key)}]`);
    }
  } else {
    const write = writerOf(value);
    if (write !== undefined) yield { code: `${write.name}(out, @, ${path});`, bytes: write(out, 0, value as never) };
  }
}

function writerOf(value: unknown): ((out: Buffer, at: number, value: never) => number) | undefined {
  if (typeof value === "string") return writeText;
  if (typeof value === "bigint") return writeInt64;
  if (typeof value !== "number") return undefined;
  if (!Number.isInteger(value)) return writeDouble;
  return value < 0 ? writeSint32 : writeInt32;
}

/** The values where they belong, each behind a tag of one byte. */
function writingAll(message: Order): string {
  let at = 0;
  const lines: string[] = [];
  for (const { code, bytes: length } of writing(message, "m")) {
    lines.push(`out[${at}] = 10;`, code.replace("@", String(at + 1)));
    at += 1 + length;
  }
  return lines.join("\n");
}

const floats = new Float64Array(1);
const shared = {
  fromCharCode: String.fromCharCode,
  f: floats,
  out,
  writeDouble,
  writeInt32,
  writeInt64,
  writeSint32,
  writeText,
};
const compile = (parameter: string, body: string): ((argument: unknown) => unknown) =>
  new Function(...Object.keys(shared), `return (${parameter}) => { ${body} };`)(...Object.values(shared));
const makers = messages.map((message, index) => compile("b", `return ${making(message, bytes[index])};`));
const writers = messages.map((message) => compile("m", writingAll(message)));
for (const [index, maker] of makers.entries()) {
  const texts = (value: object): string =>
    JSON.stringify(value, (_, each) => (typeof each === "number" || typeof each === "bigint" ? 0 : each));
  if (texts(maker(bytes[index]) as object) !== texts(create(OrderSchema, messages[index])))
    throw new Error(`the floor makes another message ${index}`);
}

let kept: unknown;
const contestants: Readonly<Record<string, (index: number) => unknown>> = {
  decode: (index) => OrderCodec.read(chunk, starts[index], starts[index] + bytes[index].length),
  "decode floor": (index) => makers[index](bytes[index]),
  encode: (index) => OrderCodec.attempt?.(messages[index], out, 0),
  "encode floor": (index) => writers[index](messages[index]),
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
if (kept === null) throw new Error("nothing was measured");
console.log("what           ns a message");
for (const [at, name] of Object.keys(contestants).entries()) {
  const median = seen[at].ns.sort((a, b) => a - b)[ROUNDS >> 1];
  console.log(name.padEnd(14), median.toFixed(0).padStart(12));
}
