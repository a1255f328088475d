import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import type { CompiledType } from "../harness/compiled-schemas.ts";
import {
  decode,
  decodeOwn,
  describe,
  encode,
  expectCodecError,
  type Outcome,
  outcomeOf,
} from "../harness/use-codec.ts";
import { randomMessage } from "../message/random-init.ts";
import { randomWire } from "../message/random-wire.ts";
import { type Verdict, wireVerdict } from "../message/wire-verdict.ts";
import { options } from "./encoding.ts";
import { difference, fault, type Property } from "./property.ts";
import { shrinkBytes } from "./shrink.ts";

/** What protobuf-es wrote is decoded to the same object, prototypes included, whether or not the bytes are kept. */
export const messagesDecodeAsProtobufEs: Property = ({ type, chance }) => {
  const bytes = Buffer.from(toBinary(type.desc, randomMessage(chance, type.desc, options(chance.int(0, 3)))));
  judge(type, bytes, chance.int(0, 20));
};

/** Any order, merging, overriding, packing and unknown fields are understood as protobuf-es does. */
export const unusualWireDecodesAsProtobufEs: Property = ({ type, chance }) => {
  judge(type, randomWire(chance, type.desc), chance.int(0, 20));
};

/** Two encodings one behind the other are one message merged. */
export const encodingsMerge: Property = ({ type, chance }) => {
  const parts = chance.list(2, 3, () => toBinary(type.desc, randomMessage(chance, type.desc, options(2))));
  judge(type, Buffer.concat(parts), 0);
};

/** Throws a Fault with the shortest bytes found when the codec does other than it should with these. */
export function judge(type: CompiledType, bytes: Buffer, offset: number): void {
  const found = decodingFault(type, bytes, offset);
  if (found === undefined) return;
  // While bytes are left out, one fault must not become another.
  const kind = kindOf(found);
  const small = shrinkBytes(bytes, (each) => kindOf(decodingFault(type, each, offset)) === kind);
  const text = decodingFault(type, small, offset) ?? found;
  const { desc } = type;
  const verdict = wireVerdict(desc, small);
  fault(desc, text, { bytes: small, verdict, "protobuf-es": outcomeOf(() => fromProtobufEs(desc, small)) });
}

function kindOf(text: string | undefined): string | undefined {
  return text?.split(":")[0];
}

/** What is wrong with the decoding of these bytes; undefined when it is as it should be. */
function decodingFault(type: CompiledType, bytes: Buffer, offset: number): string | undefined {
  const { desc, codec } = type;
  const verdict = wireVerdict(desc, bytes);
  const seen = outcomeOf(() => decode(codec, bytes, offset));
  const own = outcomeOf(() => decodeOwn(codec, bytes));
  if ("error" in seen) return refusalFault(desc, bytes, verdict, seen.error, own);
  if ("error" in own) return `read by \`read\`, but \`own\` refused: ${describe(own.error)}`;
  const apart = difference(own.value, seen.value);
  if (apart !== undefined) return `\`own\` differs from \`read\`: ${apart}`;
  // The codec without generated code reads as protobuf-es does, beyond the end of parts and what is not its type.
  const isStrict = type.judged === "generated";
  if (verdict === "broken") return isStrict ? "took what is no message" : undefined;
  if (verdict === "foreign") return isStrict ? roundTripFault(desc, codec, seen.value) : undefined;
  const wrong = comparisonFault(desc, bytes, verdict, seen.value);
  if (wrong !== undefined) return wrong;
  return isStrict || verdict === "sound" ? roundTripFault(desc, codec, seen.value) : undefined;
}

function comparisonFault(desc: DescMessage, bytes: Buffer, verdict: Verdict, seen: Message): string | undefined {
  const expected = outcomeOf(() => fromProtobufEs(desc, bytes));
  if ("error" in expected) return `took what protobuf-es refuses: ${describe(expected.error)}`;
  const isLossy = verdict === "sound-but-lossy";
  const wrong = isLossy
    ? difference(withoutUnknown(seen), withoutUnknown(expected.value))
    : difference(seen, expected.value);
  return wrong === undefined ? undefined : `decoded otherwise: ${wrong}`;
}

function refusalFault(
  desc: DescMessage,
  bytes: Buffer,
  verdict: Verdict,
  error: unknown,
  own: Outcome<Message>,
): string | undefined {
  const wrongError = outcomeOf(() => expectCodecError(error, "decoding"));
  if ("error" in wrongError) return describe(wrongError.error);
  if ("value" in own) return `refused by \`read\`, but \`own\` took it: ${describe(error)}`;
  if (verdict === "broken" || verdict === "foreign") return undefined;
  const expected = outcomeOf(() => fromProtobufEs(desc, bytes));
  return "error" in expected ? undefined : `refused what protobuf-es takes: ${describe(error)}`;
}

/** A decoded message is encoded as protobuf-es does, and that gives the same message again. */
function roundTripFault(desc: DescMessage, codec: Codec<Message>, message: Message): string | undefined {
  const expected = outcomeOf(() => Buffer.from(toBinary(desc, message)));
  const seen = outcomeOf(() => encode(codec, message));
  if ("error" in expected) {
    return "error" in seen ? undefined : `encoded again what protobuf-es refuses: ${describe(expected.error)}`;
  }
  if ("error" in seen) return `could not be encoded again: ${describe(seen.error)}`;
  if (!seen.value.equals(expected.value)) return `encoded again to: ${seen.value.toString("hex")}`;
  const again = difference(decode(codec, seen.value), message);
  return again === undefined ? undefined : `is another message after encoding and decoding: ${again}`;
}

/** Of bytes of their own: of a Buffer protobuf-es would keep slices that are Buffers. */
function fromProtobufEs(desc: DescMessage, bytes: Buffer): Message {
  return fromBinary(desc, new Uint8Array(bytes));
}

/** A copy without the unknown fields of the message and of all within it. */
function withoutUnknown(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withoutUnknown);
  const copy: object = Object.create(Object.getPrototypeOf(value));
  for (const [name, inner] of Object.entries(value)) {
    if (name === "$unknown") continue;
    const property = { value: withoutUnknown(inner), enumerable: true, configurable: true, writable: true };
    Object.defineProperty(copy, name, property);
  }
  return copy;
}
