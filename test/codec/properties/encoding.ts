import { create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { describe, encode, type Outcome, outcomeOf } from "../harness/use-codec.ts";
import { type Init, type InitOptions, randomInit, randomMessage } from "../message/random-init.ts";
import { fault, type Property } from "./property.ts";
import { shrinkInit } from "./shrink.ts";

/** Messages made by `create` are encoded to the bytes of protobuf-es. */
export const messagesEncodeAsProtobufEs: Property = ({ type: { desc, codec }, chance }) => {
  const message = randomMessage(chance, desc, { ...options(chance.int(0, 3)), created: 1 });
  const at = chance.int(0, 40);
  const check = (each: Message): string | undefined => encodingFault(codec, each, oracle(desc, each), at);
  report(desc, message, check, (small) => oracle(desc, small));
};

/** Init objects, plain and with created messages in them, are encoded to what `create` of them is encoded to. */
export const initsEncodeAsProtobufEs: Property = ({ type: { desc, codec }, chance }) => {
  const init = randomInit(chance, desc, { ...options(chance.int(0, 3)), created: chance.pick([0, 0, 0.3, 1]) });
  const expected = (each: Init): Outcome<Buffer> => oracle(desc, create(desc, each));
  report(desc, init, (each) => encodingFault(codec, each, expected(each), 0), expected);
};

/** A message that was measured, or sent in vain, and has changed since is encoded as it is by now: nothing of it is remembered. */
export const changedMessagesEncodeAnew: Property = ({ type: { desc, codec }, chance }) => {
  const depth = chance.int(0, 2);
  const message = randomMessage(chance, desc, { ...options(depth), created: 1 });
  for (let time = 0; time < 3; time++) {
    outcomeOf(() => codec.measure(message));
    outcomeOf(() => codec.attempt?.(message, Buffer.alloc(0), 0));
    addTo(desc, message, randomMessage(chance, desc, { ...options(depth), created: 1 }));
    const wrong = encodingFault(codec, message, oracle(desc, message), 0);
    if (wrong !== undefined) fault(desc, wrong, { given: message, expected: oracle(desc, message) });
  }
};

/** Adds the entries and elements of `more` to the maps and lists of the message, and takes its other fields over. */
function addTo(desc: DescMessage, message: Message, more: Message): void {
  for (const { kind, localName, ...field } of desc.members) {
    const [mine, theirs] = [message, more].map((each) => (each as Message & Record<string, unknown>)[localName]);
    if (kind === "field" && "fieldKind" in field && field.fieldKind === "map") Object.assign(mine as object, theirs);
    else if (Array.isArray(mine)) mine.push(...(theirs as unknown[]));
    else Object.assign(message, { [localName]: theirs });
  }
}

/** Throws a Fault with the smallest value found when `check` finds something wrong with this one. */
function report<T extends object>(
  desc: DescMessage,
  given: T,
  check: (each: T) => string | undefined,
  expected: (each: T) => unknown,
): void {
  const kind = check(given)?.split(":")[0];
  if (kind === undefined) return;
  const small = shrinkInit(given, (each) => check(each)?.split(":")[0] === kind);
  fault(desc, check(small) ?? kind, { given: small, expected: expected(small) });
}

/** How full and how deep messages are made. */
export function options(depth: number): InitOptions {
  return { depth, created: 0.3, filled: 0.6 };
}

function oracle(desc: DescMessage, message: Message): Outcome<Buffer> {
  return outcomeOf(() => Buffer.from(toBinary(desc, message)));
}

/** What is wrong with the encoding of `given`; undefined when it is as expected. */
function encodingFault(
  codec: Codec<Message>,
  given: object,
  expected: Outcome<Buffer>,
  at: number,
): string | undefined {
  const seen = outcomeOf(() => encode(codec, given, at));
  if ("error" in expected)
    return "error" in seen ? undefined : `encoded what protobuf-es refuses: ${describe(expected.error)}`;
  if ("error" in seen) return `refused: ${describe(seen.error)}`;
  if (!seen.value.equals(expected.value)) return `encoded otherwise: ${apart(seen.value, expected.value)}`;
  return attemptFault(codec, given, expected.value) ?? wholeFault(codec, given, expected.value);
}

/** Without a measure before: a target that is too small is found out, and nothing is written behind it. */
function attemptFault(codec: Codec<Message>, given: object, expected: Buffer): string | undefined {
  for (const size of [0, expected.length >> 1, expected.length, expected.length + 400, expected.length * 20 + 4000]) {
    const memory = Buffer.alloc(size + 32, 0xee);
    const target = memory.subarray(0, size);
    const end = codec.attempt?.(given as Message, target, 0) ?? size + 1;
    if (!memory.subarray(size).every((byte) => byte === 0xee)) return "an attempt wrote behind its target";
    if (end <= size && !target.subarray(0, end).equals(expected))
      return `an attempt wrote otherwise: ${apart(target, expected)}`;
  }
  return undefined;
}

function apart(seen: Buffer, expected: Buffer): string {
  let at = 0;
  while (seen[at] === expected[at]) at++;
  const part = (bytes: Buffer): string => bytes.toString("hex", Math.max(0, at - 20), at + 40);
  return `${seen.length} bytes instead of ${expected.length}, from ${at} on …${part(seen)}… instead of …${part(expected)}…`;
}

function wholeFault(codec: Codec<Message>, given: object, expected: Buffer): string | undefined {
  if (codec.whole === undefined) return undefined;
  codec.measure(given as Message);
  const whole = codec.whole(given as Message);
  return expected.equals(whole)
    ? undefined
    : `handed over whole as ${Buffer.from(whole).toString("hex").slice(0, 2000)}`;
}
