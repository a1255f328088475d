import { bytesOf, group, key, length, lengthDelimited, varint } from "../message/wire.ts";
import { type Counter, countedRecords, HIGH_HALF, NUMBER, SPARSE, TEXT } from "./counted-records.ts";

/** Bytes that cost a decoder far more than they weigh, in any size. */
export interface Attack {
  /** The message type, of hostile-proto.ts. */
  readonly type: string;
  /** About so many bytes. */
  make(bytes: number): Buffer;
  /** The same content without what makes it an attack. */
  readonly harmless?: (bytes: number) => Buffer;
}

/** Attacks on memory by what they repeat. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  "unknown varints": repeated("hostile.Node", bytesOf(key(100, 0), varint(0n))),
  "unknown empty bytes": repeated("hostile.Empty", bytesOf(key(1, 2), length(0))),
  "unknown empty groups": repeated("hostile.Empty", group(1, Buffer.alloc(0))),
  "unknown values of a closed enum": repeated("hostile.Node", bytesOf(key(26, 0), varint(5n))),
  "empty messages of a list": repeated("hostile.Node", lengthDelimited(2, Buffer.alloc(0))),
  "empty groups of a list": repeated("hostile.Node", group(9, Buffer.alloc(0))),
  "empty messages with many lists": repeated("hostile.Wides", lengthDelimited(1, Buffer.alloc(0))),
  "empty messages with many lists, as values of a map": numbered("hostile.Wides", NUMBER, (counter) =>
    lengthDelimited(2, bytesOf(key(1, 0), counter)),
  ),
  "one message again and again": repeated("hostile.Node", lengthDelimited(1, Buffer.alloc(0))),
  "one message again and again, with an unknown field": repeated(
    "hostile.Node",
    lengthDelimited(1, bytesOf(key(100, 0), varint(0n))),
  ),
  "one message again and again, with an element": repeated(
    "hostile.Wides",
    lengthDelimited(3, bytesOf(key(1, 0), varint(1n))),
  ),
  "merges at every level": merges(1, lengthDelimited),
  "merges of a oneof at every level": merges(6, lengthDelimited),
  "merges of groups at every level": merges(8, group),
  "cases of a oneof in turn": repeated(
    "hostile.Node",
    bytesOf(lengthDelimited(6, Buffer.alloc(0)), lengthDelimited(7, Buffer.alloc(0))),
  ),
  "empty entries of a map": repeated("hostile.Node", lengthDelimited(3, Buffer.alloc(0))),
  "entries of a map under numbers": numbered("hostile.Node", NUMBER, (counter) =>
    lengthDelimited(4, bytesOf(key(1, 0), counter)),
  ),
  "entries of a map under numbers far apart": numbered("hostile.Node", HIGH_HALF, (counter) =>
    lengthDelimited(4, bytesOf(key(1, 0), counter)),
  ),
  "entries of a map under long numbers": numbered("hostile.Node", SPARSE, (counter) =>
    lengthDelimited(5, bytesOf(key(1, 0), counter)),
  ),
  "numbers of a map that leave its array and come back": leaving(
    (index) => bytesOf(key(1, 0), varint(BigInt(index))),
    4,
  ),
  "long numbers of a map that leave its array and come back": leaving(
    (index) => bytesOf(key(1, 0), varint(BigInt(index))),
    5,
  ),
  "numbers as texts that leave the array of a map and come back": leaving(
    (index) => lengthDelimited(1, Buffer.from(String(index))),
    28,
  ),
  "maps of the number 0": oneEntry(1, bytesOf(key(1, 0), varint(0n))),
  "maps of one number behind a gap": oneEntry(1, bytesOf(key(1, 0), varint(322n))),
  "maps of one far number": oneEntry(1, bytesOf(key(1, 0), varint(1023n))),
  "maps of one long number behind a gap": oneEntry(2, bytesOf(key(1, 0), varint(1023n))),
  "maps of one text that is a number": oneEntry(3, lengthDelimited(1, Buffer.from("1023"))),
  "Structs of one text that is a number": inside(
    22,
    lengthDelimited(1, lengthDelimited(5, lengthDelimited(1, lengthDelimited(1, Buffer.from("1023"))))),
  ),
  "entries of a map under texts": numbered("hostile.Node", TEXT, (counter) =>
    lengthDelimited(28, lengthDelimited(1, counter)),
  ),
  "messages of a map": numbered("hostile.Node", TEXT, (counter) => lengthDelimited(3, lengthDelimited(1, counter))),
  "an entry of a map under __proto__": repeated(
    "hostile.Node",
    lengthDelimited(3, lengthDelimited(1, Buffer.from("__proto__"))),
  ),
  "packed longs of a byte": packed("hostile.Node", 14),
  "packed longs of a byte as texts": packed("hostile.Node", 29),
  "packed numbers of a byte": packed("hostile.Node", 17),
  "packed booleans": packed("hostile.Node", 18),
  "packed values of a closed enum": packed("hostile.Node", 27),
  "packed numbers in two pieces": pieces("hostile.Node", 17, (bytes) => [bytes >> 1, bytes >> 1]),
  "packed numbers in two pieces, a large and a small one": pieces("hostile.Node", 17, (bytes) => [
    bytes - (bytes >> 3),
    bytes >> 3,
  ]),
  "packed numbers in pieces of 2 kB": pieces("hostile.Node", 17, (bytes) => new Array(bytes >> 11).fill(2048)),
  "packed numbers in pieces of 5 bytes": pieces("hostile.Node", 17, (bytes) => new Array(bytes >> 3).fill(5)),
  "longs that are not packed": repeated("hostile.Node", bytesOf(key(14, 0), varint(1n))),
  "empty texts": repeated("hostile.Node", lengthDelimited(12, Buffer.alloc(0))),
  "texts of a character": repeated("hostile.Node", lengthDelimited(12, Buffer.from("é"))),
  "empty bytes": repeated("hostile.Node", lengthDelimited(13, Buffer.alloc(0))),
  "bytes of a byte": repeated("hostile.Node", lengthDelimited(13, Buffer.from("x"))),
  "empty Anys": repeated("hostile.Node", lengthDelimited(19, Buffer.alloc(0))),
  "fields of a Struct": {
    type: "hostile.Node",
    make: (bytes) =>
      lengthDelimited(
        20,
        countedRecords(bytes, TEXT, (counter) => lengthDelimited(1, lengthDelimited(1, counter))),
      ),
  },
  "empty values of a ListValue": inside(22, lengthDelimited(1, Buffer.alloc(0))),
  "lists of one value": inside(22, lengthDelimited(1, lengthDelimited(6, lengthDelimited(1, Buffer.alloc(0))))),
  "lists of lists": inside(22, lengthDelimited(1, lengthDelimited(6, Buffer.alloc(0)))),
  "paths of a FieldMask": inside(23, lengthDelimited(1, Buffer.alloc(0))),
  "empty wrappers": repeated("hostile.Node", lengthDelimited(24, Buffer.alloc(0))),
  "messages of a FileDescriptorProto": inside(25, lengthDelimited(4, Buffer.alloc(0))),
  "a string of three bytes a character": filled(10, Buffer.from("日")),
  "a string of a byte a character": filled(10, Buffer.from("a")),
  "one piece of bytes": filled(11, Buffer.from("a")),
};

function repeated(type: string, record: Buffer): Attack {
  return { type, make: (bytes) => Buffer.alloc(Math.floor(bytes / record.length) * record.length, record) };
}

/** Records that differ in a counter of fixed width; the record shows where it stands. */
function numbered(type: string, counter: Counter, record: (counter: Buffer) => Buffer): Attack {
  return { type, make: (bytes) => countedRecords(bytes, counter, record) };
}

/** Two entries of a map take less. */
const MOST_ENTRIES = 40;

/** Messages with a map of one entry. */
function oneEntry(number: number, entry: Buffer): Attack {
  return repeated("hostile.Sparses", lengthDelimited(1, lengthDelimited(number, entry)));
}

/**
 * Keys from 0 on, then pairs of which the first lies too far behind the others for V8's array, and the second makes one of the table again.
 */
function leaving(entry: (index: number) => Buffer, number: number): Attack {
  const make = (bytes: number): Buffer => {
    const out = Buffer.alloc(bytes);
    let at = 0;
    const put = (index: number): void => {
      at += lengthDelimited(number, entry(index)).copy(out, at);
    };
    let dense = 0;
    while (at < bytes / 2) put(dense++);
    const room = Math.ceil(dense * 1.5);
    const most = 6 * 2 ** Math.ceil(Math.log2(room)) - 2000;
    for (let far = room + 2000; far < most && at < bytes - MOST_ENTRIES; far += 1100) {
      put(far);
      put(far + 1);
    }
    while (at < bytes - MOST_ENTRIES) put(dense++);
    return out.subarray(0, at);
  };
  return { type: "hostile.Node", make };
}

function packed(type: string, number: number): Attack {
  return { type, make: (bytes) => lengthDelimited(number, Buffer.alloc(bytes, 1)) };
}

/** A packed field that comes in pieces of so many bytes. */
function pieces(type: string, number: number, sizes: (bytes: number) => readonly number[]): Attack {
  const make = (bytes: number): Buffer =>
    Buffer.concat(sizes(bytes).map((size) => lengthDelimited(number, Buffer.alloc(size, 1))));
  return { type, make };
}

/** A message of a singular field, with so many equal records in it. */
function inside(number: number, record: Buffer): Attack {
  const make = (bytes: number): Buffer =>
    lengthDelimited(number, Buffer.alloc(Math.floor(bytes / record.length) * record.length, record));
  return { type: "hostile.Node", make };
}

function filled(number: number, unit: Buffer): Attack {
  const make = (bytes: number): Buffer =>
    lengthDelimited(number, Buffer.alloc(Math.floor(bytes / unit.length) * unit.length, unit));
  return { type: "hostile.Node", make };
}

/** Every message comes twice, first empty: a decoder that reads again what it merges reads the innermost again at every level. */
function merges(number: number, field: (number: number, content: Uint8Array) => Buffer): Attack {
  const chain = (bytes: number, first: Buffer): Buffer => {
    let content: Buffer = Buffer.alloc(bytes - (bytes % 3), bytesOf(key(17, 0), varint(1n)));
    for (let level = 0; level < 90; level++) content = bytesOf(first, field(number, content));
    return content;
  };
  const empty = field(number, Buffer.alloc(0));
  return {
    type: "hostile.Node",
    make: (bytes) => chain(bytes, empty),
    harmless: (bytes) => chain(bytes, Buffer.alloc(0)),
  };
}
