import { describe, expect, it } from "vitest";
import { knownDifference, type Outcome } from "../codecs/codec-differences.ts";
import { type ComparedType, comparedTypes, type Library } from "../codecs/other-codecs.ts";
import { codecDifferentialTarget } from "./codec-differential.ts";

/** Indices of types. */
const ALL_TYPES = 0;
const PROTO2 = 1;

type Row = [name: string, library: Library, outcome: Outcome, type: number, hex: string];

const differences: readonly Row[] = [
  ["a length of more than 5 octets", "protobufjs", "they refuse", ALL_TYPES, "7280808080808000"],
  ["a value that a closed enum does not have", "protobufjs", "otherwise", PROTO2, "980363"],
  ["an entry without a key of 64 bits", "protobufjs", "otherwise", ALL_TYPES, "a2030408001001a203021002"],
  ["a number of more than 10 octets", "protobufjs", "they take", ALL_TYPES, `a006${"80".repeat(11)}00`],
  ["a field of another wire type", "google-protobuf", "they refuse", ALL_TYPES, "1d01000000"],
  ["an entry of a map that is not one key and one value", "google-protobuf", "they refuse", ALL_TYPES, "a203022841"],
  ["a message that comes again", "google-protobuf", "otherwise", ALL_TYPES, "8a010208018a01021802"],
  ["a string that begins with a byte order mark", "google-protobuf", "otherwise", ALL_TYPES, "7203efbbbf"],
  ["an end of a group that has not begun", "google-protobuf", "they take", ALL_TYPES, "0c"],
  [
    "an element of a packed field that ends beyond it",
    "google-protobuf",
    "they take",
    ALL_TYPES,
    "f201060100000000001805",
  ],
  ["a tag of more than 5 octets", "google-protobuf", "they take", ALL_TYPES, "98808080800001"],
  ["a tag of more than 5 octets or 32 bits", "google-protobuf", "they take", ALL_TYPES, "98808080800101"],
  ["a length of more than 32 bits", "google-protobuf", "they take", ALL_TYPES, "9a0585808080100d0000803f"],
  ["a bool whose bits are all beyond the 64th", "protobufjs", "otherwise", ALL_TYPES, "e00280808080808080808002"],
  ["a bool whose bits are all beyond the 64th", "google-protobuf", "otherwise", ALL_TYPES, "e00280808080808080808002"],
  ["a map's key __proto__", "google-protobuf", "otherwise", ALL_TYPES, "f2030e0a095f5f70726f746f5f5f120178"],
];

function inputOf(type: number, hex: string): Buffer {
  return Buffer.concat([Buffer.of(type), Buffer.from(hex, "hex")]);
}

/** The types with a library that reads the number 99 in the first field of int32, whatever is there. */
function misread(library: Library): readonly ComparedType[] {
  const field = (index: number): Buffer => Buffer.of(index === ALL_TYPES ? 0x18 : 0x08, 99);
  return comparedTypes().map((type, index) => ({
    ...type,
    others: type.others
      .filter((other) => other.library === library)
      .map(({ again }) => ({ library, again: (bytes) => Buffer.concat([again(bytes), field(index)]) })),
  }));
}

describe("codecs of others and ours", () => {
  const told: string[] = [];
  const target = codecDifferentialTarget({ told: (difference) => void told.push(difference) });
  const types = comparedTypes();

  it.each(differences)("are known to differ: %s", async (name, _library, _outcome, type, hex) => {
    told.length = 0;
    await target.run(inputOf(type, hex));
    expect(told.map((each) => each.slice(0, name.length))).toContain(name);
  });

  it.each(differences)("must agree on what stands beside %s", (name, library, _outcome, type, hex) => {
    const seen: string[] = [];
    const faulty = codecDifferentialTarget({ told: (each) => void seen.push(each), types: misread(library) });
    expect(() => faulty.run(inputOf(type, hex))).toThrow(`${library}, otherwise, of what is sound`);
    expect(seen.map((each) => each.slice(0, name.length))).toContain(name);
  });

  it.each(differences)(
    "must agree on %s in another way, and with another library",
    (name, library, outcome, type, hex) => {
      const { desc } = types[type];
      const message = Buffer.from(hex, "hex");
      const known = (by: Library, as: Outcome): string | undefined => knownDifference(by, as, desc, message)?.name;
      expect(known(library, outcome)?.slice(0, name.length)).toBe(name);
      const others = (["they refuse", "they take", "otherwise"] as const).filter((each) => each !== outcome);
      const isOwnWay = name.startsWith("an entry of a map");
      if (!isOwnWay) for (const each of others) expect(known(library, each)).not.toBe(known(library, outcome));
      const stranger = library === "protobufjs" ? "google-protobuf" : "protobufjs";
      expect(known(stranger, outcome)).not.toBe(known(library, outcome));
    },
  );

  it("agree on messages without any of this", async () => {
    told.length = 0;
    await target.run(inputOf(ALL_TYPES, "180572017880010192020161a2030408011002"));
    await target.run(inputOf(PROTO2, "08057201788801019803018302088a01d00c058402"));
    expect(told).toEqual([]);
  });

  it("of which ours reads something else are a fault", () => {
    const [type] = comparedTypes();
    const { codec } = type;
    const wrong = { ...codec, read: (): ReturnType<typeof codec.read> => codec.read(Buffer.from("1863", "hex"), 0, 2) };
    const faulty = codecDifferentialTarget({ types: [{ ...type, codec: wrong }] });
    expect(() => faulty.run(inputOf(ALL_TYPES, "1805"))).toThrow();
  });
});
