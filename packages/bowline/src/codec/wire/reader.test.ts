import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { Reader } from "./reader.ts";

const BUDGET = 1 << 20;

interface Values {
  readonly lines: readonly string[];
  readonly numbers: readonly number[];
}

/** A message with its lines as field 1 and its numbers as field 2, by turns. */
function messageOf({ lines, numbers }: Values): Buffer {
  return Buffer.concat(
    lines.flatMap((line, i) => {
      const number = Buffer.alloc(8);
      number.writeDoubleLE(numbers[i]);
      return [Buffer.of(10, Buffer.byteLength(line)), Buffer.from(line), Buffer.of(17), number];
    }),
  );
}

function read(reader: Reader, source: Buffer, start: number, end: number, isShared: boolean): Values {
  const lines: string[] = [];
  const numbers: number[] = [];
  reader.begin(source, end, isShared, BUDGET);
  let at = start;
  while (at < end || reader.goesOn(at, end)) {
    at = reader.tag(at);
    if (reader.tagRead === 10) {
      at = reader.len(at);
      lines.push(reader.string(at));
    } else {
      at = reader.i64(at);
      numbers.push(reader.double(at));
    }
  }
  reader.finish();
  return { lines, numbers };
}

function values(seed: number): Values {
  const numbers = Array.from({ length: 5 }, (_, i) => (seed + 1) * 1.25 + i);
  return { lines: numbers.map((each) => `a line that comes again: ${each}`), numbers };
}

describe("a reader", () => {
  it("reads the same with and without a view of its source", () => {
    const reader = new Reader();
    for (let seed = 0; seed < 3; seed++) {
      const message = messageOf(values(seed));
      expect(read(reader, message, 0, message.length, false)).toEqual(values(seed));
      for (const bytes of [message.length + 9, 65_536, 600_000]) {
        const chunk = Buffer.alloc(bytes, 0xff);
        for (const start of [0, 7, bytes - message.length]) {
          message.copy(chunk, start);
          // The second time the view is there from the first field on.
          for (let time = 0; time < 2; time++) {
            expect(read(reader, chunk, start, start + message.length, true)).toEqual(values(seed));
          }
        }
      }
    }
  });

  it("reads what a source holds now, not what lay there when another message was read", () => {
    const reader = new Reader();
    const source = Buffer.alloc(1000);
    const other = messageOf(values(99));
    for (let seed = 0; seed < 6; seed++) {
      const end = messageOf(values(seed)).copy(source);
      expect(read(reader, source, 0, end, true)).toEqual(values(seed));
      if (seed % 2 === 1) expect(read(reader, other, 0, other.length, false)).toEqual(values(99));
    }
  });

  it("lets go of a source that is a message's own, or larger than what connections read at once", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const reader = new Reader();
    const message = messageOf(values(1));
    const used = (bytes: number, isShared: boolean): WeakRef<ArrayBufferLike> => {
      const source = Buffer.alloc(bytes);
      message.copy(source);
      read(reader, source, 0, message.length, isShared);
      return new WeakRef(source.buffer);
    };
    // Each as the last one that was read: what comes next would take its place.
    for (const [bytes, isShared, isHeld] of [
      [20_000, false, false],
      [600_000, true, false],
      [100_000, true, true],
    ] as const) {
      const memory = used(bytes, isShared);
      await new Promise(setImmediate);
      collect();
      expect(memory.deref() !== undefined).toBe(isHeld);
    }
  });

  it("reads memory that has grown or shrunk since the last message", () => {
    const reader = new Reader();
    const memory = new ArrayBuffer(500, { maxByteLength: 4000 });
    const source = new Uint8Array(memory) as Buffer;
    let seed = 0;
    for (const bytes of [500, 4000, 300]) {
      memory.resize(bytes);
      for (let time = 0; time < 2; time++) {
        const message = messageOf(values(seed));
        const start = bytes - message.length;
        source.set(message, start);
        expect(read(reader, source, start, bytes, true)).toEqual(values(seed++));
      }
    }
  });
});
