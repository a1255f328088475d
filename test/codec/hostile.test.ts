import { rm } from "node:fs/promises";
import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledType, codecFolder, compileProtos } from "./harness/compiled-schemas.ts";
import { decode, decodeOwn, encode, expectCodecError, outcomeOf } from "./harness/use-codec.ts";
import { HOSTILE_PROTO } from "./hostile/hostile-proto.ts";
import { bytesOf, group, key, lengthDelimited, varint } from "./message/wire.ts";
import { difference } from "./properties/property.ts";

let folder = "";
let types: readonly CompiledType[] = [];

beforeAll(async () => {
  folder = await codecFolder();
  ({ types } = await compileProtos(folder, new Map([["hostile.proto", HOSTILE_PROTO]])));
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function typeOf(name: string): CompiledType {
  const found = types.find((type) => type.desc.typeName === `hostile.${name}`);
  if (found === undefined) throw new Error(`no message hostile.${name}`);
  return found;
}

function nodeCodec(): Codec<Message> {
  return typeOf("Node").codec;
}

/** Reads as a connection does and as of its own bytes; both must come to the same. */
function read(bytes: Uint8Array, name = "Node"): Message {
  const { codec } = typeOf(name);
  const message = decode(codec, bytes);
  expect(difference(decodeOwn(codec, bytes), message)).toBeUndefined();
  return message;
}

function refused(bytes: Uint8Array, name = "Node"): string {
  const { codec } = typeOf(name);
  const [lent, own] = [outcomeOf(() => decode(codec, bytes)), outcomeOf(() => decodeOwn(codec, bytes))];
  if ("value" in lent || "value" in own) throw new Error(`took ${Buffer.from(bytes).toString("hex").slice(0, 200)}`);
  const text = expectCodecError(lent.error, "decoding").text;
  expect(expectCodecError(own.error, "decoding").text).toBe(text);
  expect(text).toContain(`hostile.${name}`);
  return text;
}

/** Levels of messages, the outermost counted. */
function nested(levels: number, wrap: (content: Buffer) => Buffer): Buffer {
  let content: Buffer = Buffer.alloc(0);
  for (let level = 1; level < levels; level++) content = wrap(content);
  return content;
}

const NESTINGS: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  "singular messages": (content) => lengthDelimited(1, content),
  "messages of lists": (content) => lengthDelimited(2, content),
  "messages of maps": (content) => lengthDelimited(3, lengthDelimited(2, content)),
  "messages of oneofs": (content) => lengthDelimited(6, content),
  groups: (content) => group(8, content),
  "groups of lists": (content) => group(9, content),
  "unknown groups": (content) => group(100, content),
  "messages that are merged": (content) => bytesOf(lengthDelimited(1, Buffer.alloc(0)), lengthDelimited(1, content)),
  "groups that are merged": (content) => bytesOf(group(8, Buffer.alloc(0)), group(8, content)),
  "messages of oneofs that are merged": (content) =>
    bytesOf(lengthDelimited(6, Buffer.alloc(0)), lengthDelimited(6, content)),
  "unknown groups in entries of maps": (content) => lengthDelimited(4, group(3, content)),
};

describe("depth", () => {
  it.each(Object.entries(NESTINGS).slice(0, -1))("of %s is 100 levels, as protobuf-es counts them", (_, wrap) => {
    const { desc } = typeOf("Node");
    for (const levels of [99, 100]) {
      const bytes = nested(levels, wrap);
      expect(difference(read(bytes), fromBinary(desc, new Uint8Array(bytes)))).toBeUndefined();
    }
    for (const levels of [101, 102, 1000]) {
      const bytes = nested(levels, wrap);
      expect(() => fromBinary(desc, new Uint8Array(bytes))).toThrow();
      refused(bytes);
    }
  });

  it("is bounded in groups that are skipped within entries of maps", () => {
    const groups = (count: number): Buffer =>
      lengthDelimited(4, bytesOf(Buffer.alloc(count, key(3, 3)), Buffer.alloc(count, key(3, 4))));
    read(groups(90));
    refused(groups(101));
    refused(groups(100_000));
  });

  it("is counted anew for every field, not summed", () => {
    const deep = nested(100, (content) => lengthDelimited(1, content));
    const unknown = nested(100, (content) => group(100, content));
    const entry = nested(100, (content) => lengthDelimited(3, lengthDelimited(2, content)));
    read(bytesOf(deep, deep, unknown, unknown, entry, entry, deep));
  });

  it("is bounded where well-known types nest", () => {
    const { desc } = typeOf("Node");
    const value = (turns: number): Buffer => {
      let content: Buffer = Buffer.alloc(0);
      // ListValue.values = 1, Value.list_value = 6: two levels a turn.
      for (let turn = 0; turn < turns; turn++) content = lengthDelimited(6, lengthDelimited(1, content));
      return lengthDelimited(21, content);
    };
    const structure = (turns: number): Buffer => {
      let content: Buffer = Buffer.alloc(0);
      for (let turn = 0; turn < turns; turn++) {
        content = lengthDelimited(
          1,
          bytesOf(lengthDelimited(1, Buffer.from("k")), lengthDelimited(2, lengthDelimited(5, content))),
        );
      }
      return lengthDelimited(20, content);
    };
    for (const make of [value, structure]) {
      for (const turns of [47, 48, 49, 50, 51, 60, 5000]) {
        const bytes = make(turns);
        const expected = outcomeOf(() => fromBinary(desc, new Uint8Array(bytes)));
        if ("error" in expected) refused(bytes);
        else expect(difference(read(bytes), expected.value)).toBeUndefined();
      }
    }
  });

  it("of what is encoded is not bounded by 100, but a message that holds itself ends in an error", () => {
    const codec = nodeCodec();
    const circle: { child?: unknown } = {};
    circle.child = circle;
    const seen = outcomeOf(() => encode(codec, circle));
    if ("value" in seen) throw new Error("encoded a circle");
    expect(expectCodecError(seen.error, "encoding").text).toContain("hostile.Node");
  });
});

describe("tags", () => {
  it("of field number 0, wire types 6 and 7, and more than 32 bits are refused, in messages, groups and entries", () => {
    const bad = [
      [0x00],
      [0x02, 0x00],
      [0x0e],
      [0x0f],
      [0x80, 0x00],
      [0x80, 0x80, 0x80, 0x80, 0x10],
      [0xff, 0xff, 0xff, 0xff, 0x1f],
      [0x88, 0x80, 0x80, 0x80, 0x80, 0x00],
      [0x88, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
      [0x80],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ].map((bytes) => Buffer.from([...bytes, 0, 0, 0, 0, 0, 0, 0, 0]));
    for (const bytes of bad) {
      refused(bytes);
      refused(bytes, "Empty");
      refused(lengthDelimited(1, bytes));
      refused(group(8, bytes));
      refused(group(100, bytes));
      refused(lengthDelimited(4, bytes));
    }
  });

  it("may be longer than needed up to five bytes, and reach the last field number", () => {
    const { desc } = typeOf("Node");
    for (const bytes of [
      Buffer.from([0x80, 0x81, 0x80, 0x00, 0x05]),
      Buffer.from([0x80, 0x81, 0x80, 0x80, 0x00, 0x05]),
      bytesOf(key(536_870_911, 0), varint(1n)),
    ]) {
      expect(difference(read(bytes), fromBinary(desc, new Uint8Array(bytes)))).toBeUndefined();
    }
  });

  it("that end a group which has not begun, or another one, are refused", () => {
    refused(key(8, 4));
    refused(key(100, 4));
    refused(lengthDelimited(1, key(1, 4)));
    refused(bytesOf(key(8, 3), key(9, 4)));
    refused(bytesOf(key(100, 3), key(101, 4)));
    refused(key(8, 3));
    refused(key(100, 3));
    refused(bytesOf(key(8, 3), lengthDelimited(1, key(8, 4))));
    refused(bytesOf(lengthDelimited(1, key(8, 3)), key(8, 4)));
  });
});

describe("lengths", () => {
  const fields = [1, 2, 3, 4, 6, 7, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 100];

  it("beyond the end, up to 2^32 and more, are refused for every field", () => {
    const lengths = [
      1n,
      2n,
      127n,
      128n,
      2n ** 31n - 1n,
      2n ** 31n,
      2n ** 32n - 1n,
      2n ** 32n - 5n,
      2n ** 63n,
      2n ** 64n - 1n,
    ];
    for (const number of fields) for (const each of lengths) refused(bytesOf(key(number, 2), varint(each)));
  });

  it("beyond the end of the message around, with bytes behind it, are refused", () => {
    const after = lengthDelimited(11, Buffer.alloc(50));
    for (const number of fields) {
      const inner = bytesOf(key(number, 2), varint(20n));
      refused(bytesOf(lengthDelimited(1, inner), after));
      refused(bytesOf(lengthDelimited(2, inner), after));
      refused(bytesOf(lengthDelimited(3, lengthDelimited(2, inner)), after));
    }
  });

  it("that end within an element of a packed field are refused", () => {
    for (const bytes of [
      bytesOf(key(14, 2), varint(1n), Buffer.from([0x80, 0x01])),
      bytesOf(key(17, 2), varint(2n), Buffer.from([0x01, 0xff, 0x01])),
      bytesOf(key(18, 2), varint(1n), Buffer.from([0x80, 0x01])),
      bytesOf(key(27, 2), varint(1n), Buffer.from([0x80, 0x01])),
    ]) {
      refused(bytes);
      refused(bytesOf(bytes, lengthDelimited(11, Buffer.alloc(20))));
    }
  });
});

describe("varints", () => {
  it("of ten bytes are read, of eleven refused", () => {
    const { desc } = typeOf("Node");
    const ten = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    for (const number of [14, 16, 17, 18, 26, 27, 29]) {
      const bytes = bytesOf(key(number, 0), ten);
      expect(difference(read(bytes), fromBinary(desc, new Uint8Array(bytes)))).toBeUndefined();
      refused(bytesOf(key(number, 0), Buffer.alloc(10, 0x80), Buffer.from([0])));
      refused(bytesOf(key(number, 0), Buffer.alloc(9, 0x80)));
    }
  });

  it("that a chunk goes on behind are not read into what follows", () => {
    const codec = nodeCodec();
    const chunk = Buffer.from([0x80, 0x01, 0x80, 0x01, 0x00]);
    for (const [start, end] of [
      [0, 1],
      [0, 3],
      [2, 3],
    ] as const) {
      const seen = outcomeOf(() => codec.read(chunk, start, end));
      expect("error" in seen && expectCodecError(seen.error, "decoding").reason).toBe("codec");
    }
  });
});

describe("strings", () => {
  const faulty = ["80", "c0af", "c328", "e28082e2", "eda080", "f4908080", "f8888080", "ff", "c3", "f09f98", "edbfbf"];

  it("that are no UTF-8 are refused wherever they stand, short and long", () => {
    for (const hex of faulty) {
      for (const before of [0, 1, 22, 23, 24, 39, 40, 127, 5000]) {
        const text = bytesOf(Buffer.alloc(before, "a"), Buffer.from(hex, "hex"));
        for (const number of [7, 10, 12]) refused(lengthDelimited(number, text));
        refused(lengthDelimited(28, lengthDelimited(1, text)));
        refused(lengthDelimited(28, lengthDelimited(2, text)));
        refused(lengthDelimited(23, lengthDelimited(1, text)));
        refused(lengthDelimited(21, lengthDelimited(3, text)));
        refused(lengthDelimited(20, lengthDelimited(1, lengthDelimited(1, text))));
        refused(lengthDelimited(19, lengthDelimited(1, text)));
      }
    }
  });

  it("keep a byte order mark, U+FFFD and characters beyond the first plane", () => {
    for (const text of ["\ufeffx", "\ufffd", "a\ufffd".repeat(50), "🙂".repeat(100), "\0"]) {
      expect(read(lengthDelimited(10, Buffer.from(text)))).toMatchObject({ text });
    }
  });
});

describe("keys of maps", () => {
  it("may be names that objects inherit, and change no prototype", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "__defineGetter__"]) {
      const entry = lengthDelimited(
        3,
        bytesOf(lengthDelimited(1, Buffer.from(name)), lengthDelimited(2, Buffer.alloc(0))),
      );
      const { byName } = read(bytesOf(entry, entry)) as Message & { byName: object };
      expect(Object.keys(byName)).toEqual([name]);
      expect(Object.getPrototypeOf(byName)).toBe(Object.prototype);
      expect(Object.hasOwn(byName, name)).toBe(true);
      expect(Object.keys({})).toEqual([]);
      expect(encode(nodeCodec(), read(entry)).equals(entry)).toBe(true);
    }
    const fields = lengthDelimited(
      1,
      bytesOf(lengthDelimited(1, Buffer.from("__proto__")), lengthDelimited(2, lengthDelimited(5, Buffer.alloc(0)))),
    );
    const { structure } = read(lengthDelimited(20, fields)) as Message & { structure: object };
    expect(Object.keys(structure)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(structure)).toBe(Object.prototype);
  });

  it("that come again replace the entry before", () => {
    const entry = (value: number): Buffer =>
      lengthDelimited(4, bytesOf(key(1, 0), varint(7n), key(2, 0), varint(BigInt(value))));
    expect(read(bytesOf(entry(1), entry(2), entry(3)))).toMatchObject({ byNumber: { 7: 3 } });
  });
});

describe("fields with a wire type that is not theirs", () => {
  const foreign = [
    bytesOf(key(10, 0), varint(5n)),
    bytesOf(key(1, 0), varint(5n)),
    bytesOf(key(16, 5), Buffer.alloc(4)),
    bytesOf(key(3, 1), Buffer.alloc(8)),
    bytesOf(key(14, 1), Buffer.alloc(8)),
    lengthDelimited(8, Buffer.from([1, 2])),
    lengthDelimited(16, Buffer.from([1])),
    group(1, Buffer.alloc(0)),
    group(12, bytesOf(key(1, 0), varint(1n))),
  ];

  it("are kept as unknown fields, once and in merged messages alike", () => {
    for (const field of foreign) {
      const message = read(field) as Message;
      expect(message.$unknown).toHaveLength(1);
      expect(encode(nodeCodec(), message).equals(field)).toBe(true);
      const merged = read(bytesOf(lengthDelimited(1, Buffer.alloc(0)), lengthDelimited(1, field))) as Message & {
        child: Message;
      };
      expect(difference(merged.child, message)).toBeUndefined();
    }
  });
});

describe("values that a closed enum does not know", () => {
  it("are kept as unknown fields beside others, in their order", () => {
    const bytes = bytesOf(key(26, 0), varint(5n), key(100, 0), varint(1n), key(26, 0), varint(6n));
    const { $unknown } = read(bytes) as Message;
    expect($unknown?.map(({ no, data }) => [no, ...data])).toEqual([
      [26, 5],
      [100, 1],
      [26, 6],
    ]);
    expect(encode(nodeCodec(), read(bytes)).equals(bytes)).toBe(true);
  });
});
