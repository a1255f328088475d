import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { wireVerdict } from "../../codec/message/wire-verdict.ts";
import type { Library } from "./other-codecs.ts";
import { behindVarint, recordsOf, varintAt, type WireRecord, within } from "./wire-records.ts";

/** How another codec differs from ours: it refuses what we take, takes what we refuse, or has read something else. */
export type Outcome = "they refuse" | "they take" | "otherwise";

/** One thing in which a library differs, and which of the two is right by protobuf's specification of the wire. */
interface Difference {
  readonly library: Library;
  readonly outcomes: readonly Outcome[];
  /** True for a field of the outermost message that shows it; `later` are those behind. */
  readonly isShownBy: (record: WireRecord, desc: DescMessage, later: readonly WireRecord[]) => boolean;
}

const BYTE_ORDER_MARK = Buffer.from("efbbbf", "hex");
const MOST_LENGTH_OCTETS = 5;
const MOST_TAG_OCTETS = 5;
const MOST_VARINT_OCTETS = 10;
const DELIMITED = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIRST_TOO_LARGE_NUMBER = 2 ** 29;

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "a length of more than 5 octets: protobufjs refuses it; a varint may have 10": {
    library: "protobufjs",
    outcomes: ["they refuse"],
    isShownBy: (record, desc) => some(record, desc, ({ lengthOctets }) => lengthOctets > MOST_LENGTH_OCTETS),
  },
  "a value that a closed enum does not have: protobufjs keeps it in the field, the specification among the unknown ones":
    {
      library: "protobufjs",
      outcomes: ["otherwise"],
      isShownBy: (record, desc) => some(record, desc, hasUnknownEnumValue),
    },
  "an entry without a key of 64 bits: protobufjs does not take it for the key 0": {
    library: "protobufjs",
    outcomes: ["otherwise"],
    isShownBy: (record, desc) => some(record, desc, (each, field) => is64BitMap(field) && !hasPart(each, 1)),
  },
  "a number of more than 10 octets: protobufjs reads on, the specification ends there": {
    library: "protobufjs",
    outcomes: ["they take"],
    isShownBy: (record, desc) => some(record, desc, hasEndlessNumber),
  },
  "a field of another wire type: google-protobuf's code refuses it, to others it is an unknown field": {
    library: "google-protobuf",
    outcomes: ["they refuse"],
    isShownBy: ({ bytes }, desc) => wireVerdict(desc, bytes) === "foreign",
  },
  "an entry of a map that is not one key and one value: google-protobuf reads it in its own way": {
    library: "google-protobuf",
    outcomes: ["they refuse", "they take", "otherwise"],
    isShownBy: (record, desc) =>
      some(record, desc, ({ content }, field) => field?.fieldKind === "map" && !isPlainEntry(content)),
  },
  "a message that comes again: google-protobuf's code takes the last one, the specification merges them": {
    library: "google-protobuf",
    outcomes: ["otherwise"],
    isShownBy: ({ number }, desc, later) =>
      desc.fields.some((field) => field.fieldKind === "message" && field.number === number) &&
      later.some((each) => each.number === number),
  },
  "a string that begins with a byte order mark: google-protobuf leaves it out": {
    library: "google-protobuf",
    outcomes: ["otherwise"],
    isShownBy: (record, desc) => some(record, desc, beginsWithMark),
  },
  "an end of a group that has not begun: google-protobuf takes it for the end of the message": {
    library: "google-protobuf",
    outcomes: ["they take"],
    isShownBy: (record, desc) =>
      some(record, desc, ({ wireType, content }) => wireType < 0 && (content[0] & 7) === END_GROUP),
  },
  "an element of a packed field that ends beyond it: google-protobuf does not look": {
    library: "google-protobuf",
    outcomes: ["they take"],
    isShownBy: (record, desc) => isPacked(record, desc) && wireVerdict(desc, record.bytes) === "broken",
  },
  "a tag of more than 5 octets or 32 bits: google-protobuf leaves out what is too much": {
    library: "google-protobuf",
    outcomes: ["they take"],
    isShownBy: (record, desc) =>
      some(record, desc, ({ number, tagOctets }) => number >= FIRST_TOO_LARGE_NUMBER || tagOctets > MOST_TAG_OCTETS),
  },
  "a length of more than 32 bits: google-protobuf leaves its upper bits out": {
    library: "google-protobuf",
    outcomes: ["they take"],
    isShownBy: (record, desc) => some(record, desc, hasHugeLength),
  },
  "a bool whose bits are all beyond the 64th: protobufjs takes it for true, the specification drops what is too much": {
    library: "protobufjs",
    outcomes: ["otherwise"],
    isShownBy: (record, desc) => some(record, desc, isTrueBeyondItsEnd),
  },
  "a bool whose bits are all beyond the 64th: google-protobuf takes it for true, too": {
    library: "google-protobuf",
    outcomes: ["otherwise"],
    isShownBy: (record, desc) => some(record, desc, isTrueBeyondItsEnd),
  },
  "a map's key __proto__: google-protobuf loses it": {
    library: "google-protobuf",
    outcomes: ["otherwise"],
    isShownBy: (record, desc) =>
      some(record, desc, ({ content }, field) => field?.fieldKind === "map" && hasKey(content, "__proto__")),
  },
};

/** Why a library may differ, and the message without the fields that show it. */
export interface KnownDifference {
  readonly name: string;
  /** Shorter: of this it must say the same as we, or it shows another difference. */
  readonly rest: Buffer;
}

/** Why this library may differ so from us for this message; undefined when it must not. */
export function knownDifference(
  library: Library,
  outcome: Outcome,
  desc: DescMessage,
  message: Buffer,
): KnownDifference | undefined {
  const records = recordsOf(message);
  for (const [name, difference] of Object.entries(DIFFERENCES)) {
    if (difference.library !== library || !difference.outcomes.includes(outcome)) continue;
    const rest = records.filter((record, at) => !difference.isShownBy(record, desc, records.slice(at + 1)));
    if (rest.length < records.length) return { name, rest: Buffer.concat(rest.map(({ bytes }) => bytes)) };
  }
  return undefined;
}

type Trait = (record: WireRecord, field: DescField | undefined) => boolean;

/** True when the record, or one within it, has it. */
function some(record: WireRecord, desc: DescMessage, trait: Trait): boolean {
  for (const [each, field] of within(record, desc)) if (trait(each, field)) return true;
  return false;
}

function hasUnknownEnumValue(record: WireRecord, field: DescField | undefined): boolean {
  if (field?.enum === undefined || field.enum.open) return false;
  const values = field.fieldKind === "map" ? recordsOf(record.content).filter(({ number }) => number === 2) : [record];
  const known = new Set(field.enum.values.map(({ number }) => number));
  return values.some(({ content }) => numbersIn(content).some((value) => !known.has(value)));
}

/** Varints one behind the other, as enums. */
function numbersIn(content: Buffer): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0n, 0n];
  for (const octet of content) {
    value |= BigInt(octet & 0x7f) << shift;
    shift += 7n;
    if (octet >= 0x80) continue;
    numbers.push(Number(BigInt.asIntN(32, value)));
    [value, shift] = [0n, 0n];
  }
  return numbers;
}

const WIDE: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function is64BitMap(field: DescField | undefined): boolean {
  return field?.fieldKind === "map" && WIDE.has(field.mapKey);
}

function hasPart(entry: WireRecord, part: number): boolean {
  return recordsOf(entry.content).some(({ number }) => number === part);
}

function hasKey(entry: Buffer, key: string): boolean {
  return recordsOf(entry).some(({ number, content }) => number === 1 && content.toString() === key);
}

function isPlainEntry(content: Buffer): boolean {
  const parts = recordsOf(content);
  return parts.length === 2 && parts[0].number === 1 && parts[1].number === 2;
}

function beginsWithMark({ wireType, content }: WireRecord, field: DescField | undefined): boolean {
  // Parts of an entry have no field of their own.
  const isText = field === undefined || field.scalar === ScalarType.STRING;
  return isText && wireType === DELIMITED && content.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
}

function isTrueBeyondItsEnd({ content }: WireRecord, field: DescField | undefined): boolean {
  // Of a bool by itself, packed, or a part of an entry, which has no field of its own.
  if (field !== undefined && field.scalar !== ScalarType.BOOL) return false;
  return content.some((last, at) => {
    const before = content.subarray(Math.max(0, at + 1 - MOST_VARINT_OCTETS), at);
    return (
      before.length === MOST_VARINT_OCTETS - 1 &&
      before.every((octet) => octet === 0x80) &&
      (last & 0x7e) === last &&
      last > 0
    );
  });
}

function hasHugeLength({ wireType, content, tagOctets }: WireRecord): boolean {
  const hasLength = wireType < 0 && tagOctets > 0 && (content[0] & 7) === DELIMITED;
  return hasLength && behindVarint(content, tagOctets) !== undefined && varintAt(content, tagOctets) > 0xffffffffn;
}

/** What is no field because its tag, or the number behind that, has no end within 10 octets; in a group, that of a field within. */
function hasEndlessNumber({ wireType, content, tagOctets }: WireRecord): boolean {
  if (wireType >= 0) return false;
  const isEndless = content.length >= tagOctets + MOST_VARINT_OCTETS && isOpen(content.subarray(tagOctets));
  if (isEndless || tagOctets === 0) return isEndless;
  return (content[0] & 7) === GROUP && recordsOf(content.subarray(tagOctets)).some(hasEndlessNumber);
}

function isOpen(octets: Buffer): boolean {
  return octets.subarray(0, MOST_VARINT_OCTETS).every((octet) => octet >= 0x80);
}

function isPacked({ number, wireType }: WireRecord, desc: DescMessage): boolean {
  return wireType === DELIMITED && desc.fields.some((field) => field.number === number && field.fieldKind === "list");
}
