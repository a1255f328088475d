import { isDeepStrictEqual } from "node:util";
import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Chance } from "../../codec/chance.ts";
import { decode, encode, outcomeOf } from "../../codec/harness/use-codec.ts";
import { randomWire } from "../../codec/message/random-wire.ts";
import { wireVerdict } from "../../codec/message/wire-verdict.ts";
import { judge } from "../../codec/properties/decoding.ts";
import { knownDifference, type Outcome } from "../codecs/codec-differences.ts";
import { type ComparedType, comparedTypes, type OtherCodec } from "../codecs/other-codecs.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { protobufFields } from "../oracles/protobuf-fields.ts";

/** Seeds of the inputs that the search begins with, a few for each type. */
const SEEDS_A_TYPE = 4;

/** How the target compares. */
export interface CodecDifferentialOptions {
  /** Hears which known differences an input shows. */
  readonly told?: (difference: string) => void;
  /** Types to compare: others, such as with a faulty codec, for the tests of the target. */
  readonly types?: readonly ComparedType[];
}

/**
 * The same octets to our generated codecs, to protobuf-es and to others: all take or refuse them, and have read the same. What shows a known
 * difference of a library is taken out, and what is left is read again: it hides nothing beside it.
 */
export function codecDifferentialTarget(options: CodecDifferentialOptions = {}): FuzzTarget {
  const { told = () => {}, types = comparedTypes() } = options;
  return {
    name: "codec-differential",
    what: "generated decoders of three messages with all kinds of fields, against three libraries",
    covers: ["src/codec/wire/", "all_types_rpc.ts", "test_messages_", "codec/generated-codec.ts"],
    maxBytes: 1024,
    tokens: ["0b", "0c", "efbbbf", "ffffffffffffffffff01", "8080808000", "edb080", "c2047b7c"].map((hex) =>
      Buffer.from(hex, "hex"),
    ),
    seeds: types.flatMap(({ desc }, index) =>
      Array.from({ length: SEEDS_A_TYPE }, (_, i) => {
        return Buffer.concat([Buffer.of(index), randomWire(new Chance(i + 1), desc, 2)]);
      }),
    ),
    framing: {
      split: (input) => [input.subarray(0, 1), ...protobufFields.split(input.subarray(1))],
      seal: (record) => protobufFields.seal(record),
    },
    run(input) {
      if (input.length === 0) return;
      const type = types[input[0] % types.length];
      const message = input.subarray(1);
      judge(
        { desc: type.desc, codec: type.codec, judged: "generated", exported: [], seed: 0 },
        message,
        input.length & 7,
      );
      for (const other of type.others) compare(type, other, message, told);
    },
  };
}

function compare(type: ComparedType, other: OtherCodec, input: Buffer, told: (difference: string) => void): void {
  for (let message = input; ; ) {
    const outcome = outcomeFor(type, other, message);
    if (outcome === undefined) return;
    const known = knownDifference(other.library, outcome, type.desc, message);
    if (known === undefined) {
      const verdict = wireVerdict(type.desc, message);
      fault(`${type.desc.name}: ${other.library}, ${outcome}, of what is ${verdict}: ${message.toString("hex")}`);
    }
    told(known.name);
    message = known.rest;
  }
}

/** How the other one differs, unknown fields left out, which it drops: they are compared with protobuf-es alone. Undefined when it does not. */
function outcomeFor({ desc, codec }: ComparedType, other: OtherCodec, message: Buffer): Outcome | undefined {
  const ours = outcomeOf(() => readAgain(desc, encode(codec, knownOnly(decode(codec, message)))));
  const theirs = outcomeOf(() => other.again(new Uint8Array(message)));
  if ("error" in ours) return "error" in theirs ? undefined : "they take";
  if ("error" in theirs) return "they refuse";
  const read = outcomeOf(() => readAgain(desc, theirs.value));
  return "value" in read && isDeepStrictEqual(read.value, ours.value) ? undefined : "otherwise";
}

/** The message itself, without the unknown fields of it and of all within it. */
function knownOnly<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if ("$unknown" in value) delete value.$unknown;
  for (const inner of Object.values(value)) knownOnly(inner);
  return value;
}

/** One reader for what all of them write: it is not on trial here. */
function readAgain(desc: DescMessage, bytes: Uint8Array): Message {
  return fromBinary(desc, new Uint8Array(bytes), { readUnknownFields: false });
}
