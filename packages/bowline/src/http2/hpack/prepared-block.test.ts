import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeResult, HpackDecoder } from "./decoder.ts";
import { FieldMode, fieldBound, HpackEncoder } from "./encoder.ts";
import { BlockWriter, PreparedBlock, VaryingName } from "./prepared-block.ts";

type Field = readonly [name: string, value: string];

const request: Field[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "users:8080"],
  [":path", "/user.v1.UserService/GetUser"],
  ["te", "trailers"],
  ["content-type", "application/grpc+proto"],
];
const requestBlock = new PreparedBlock(0, request);
const timeoutName = new VaryingName(0, "grpc-timeout", 9);
const traceName = new VaryingName(1, "traceparent", 55);

/** Both ends of a connection: what the writer writes is decoded at once. */
class Pair {
  readonly encoder = new HpackEncoder();
  readonly writer = new BlockWriter(this.encoder);
  readonly decoder = new HpackDecoder({
    tokens: new Map(),
    derive: (fields) => fields.map(({ name, value }): Field => [name, value]),
  });
  readonly arena: Buffer = Buffer.alloc(4096);

  setTableBytes(bytes: number): void {
    this.encoder.setMaxTableBytes(bytes);
    this.decoder.setLimit(bytes);
  }

  send(write: (writer: BlockWriter, arena: Buffer) => number): {
    octets: number[];
    fields: Field[];
    hasPrefix: boolean;
  } {
    const end = write(this.writer, this.arena);
    expect(this.decoder.decode(this.arena, 0, end)).toBe(DecodeResult.OK);
    const { decoder } = this;
    const fields = decoder.hasPrefix ? [...(decoder.derived as Field[])] : [];
    for (let i = 0; i < decoder.count; i++) fields.push([decoder.name(i), decoder.value(i)]);
    return { octets: [...this.arena.subarray(0, end)], fields, hasPrefix: decoder.hasPrefix };
  }
}

/** The value as a string literal, as the layers above write theirs. */
function writeValue(target: Buffer, at: number, value: string): number {
  target[at] = value.length;
  return at + 1 + target.write(value, at + 1, "latin1");
}

describe("BlockWriter", () => {
  it("inserts with the first block, and sends one octet a field from the second on", () => {
    const pair = new Pair();
    const send = () => pair.send((writer, arena) => writer.block(requestBlock, arena, 0));
    const first = send();
    const later = [send(), send(), send()];
    for (const { fields } of [first, ...later]) expect(fields).toEqual(request);
    expect(first.octets.length).toBeGreaterThan(50);
    for (const { octets } of later) expect(octets).toEqual([0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe]);
    expect(later.map(({ hasPrefix }) => hasPrefix)).toEqual([false, true, true]);
  });

  it("a call with values that vary takes the octets of its values and a few more", () => {
    const pair = new Pair();
    const trace = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
    for (let call = 0; call < 100; call++) {
      const { octets, fields, hasPrefix } = pair.send((writer, arena) => {
        let at = writer.block(requestBlock, arena, 0);
        at = writeValue(arena, writer.name(timeoutName, arena, at), `${call}m`);
        return writeValue(arena, writer.name(traceName, arena, at), trace);
      });
      expect(fields).toEqual([...request, ["grpc-timeout", `${call}m`], ["traceparent", trace]]);
      if (call > 1) expect([octets.length, hasPrefix]).toEqual([6 + 2 + 1 + `${call}m`.length + 2 + 1 + 55, true]);
    }
    expect(pair.encoder.tableCount).toBe(4 + 2);
  });

  it("writes in the middle of a buffer, and touches nothing else", () => {
    const writer = new BlockWriter(new HpackEncoder());
    const block = new PreparedBlock(3, [[":status", "200"]]);
    for (let round = 0; round < 2; round++) {
      const arena = Buffer.alloc(20, 0xaa);
      expect(writer.block(block, arena, 7)).toBe(8);
      expect(arena.indexOf(0x88)).toBe(7);
      expect(arena.filter((octet) => octet === 0xaa).length).toBe(19);
    }
  });

  it("encodes anew what another insertion has made stale", () => {
    const pair = new Pair();
    const send = () => pair.send((writer, arena) => writer.block(requestBlock, arena, 0));
    send();
    const before = send().octets;
    pair.send((writer, arena) => writer.encoder.field(arena, 0, "x-other", "1", FieldMode.INSERT));
    const after = send();
    expect(after.fields).toEqual(request);
    expect(after.octets).toEqual(before.map((octet) => (octet > 0x80 + 61 ? octet + 1 : octet)));
  });

  it("puts a size update in front, once, and starts over when the entries don't fit", () => {
    const pair = new Pair();
    const send = () => pair.send((writer, arena) => writer.block(requestBlock, arena, 0));
    send();
    const kept = send().octets;
    pair.setTableBytes(1024);
    expect(send()).toMatchObject({ octets: [0x3f, 0xe1, 0x07, ...kept], fields: request });
    expect(send().octets).toEqual(kept);
    pair.setTableBytes(0);
    const literals = send();
    expect(literals.fields).toEqual(request);
    expect(literals.octets[0]).toBe(0x20);
    expect(send().octets).toEqual(literals.octets.slice(1));
    pair.setTableBytes(4096);
    expect(send().fields).toEqual(request);
    expect(send().octets).toEqual(kept);
  });

  it("keeps literals too once the table is full", () => {
    const pair = new Pair();
    pair.send((writer, arena) => writer.encoder.field(arena, 0, "x-large", "v".repeat(4050), FieldMode.INSERT));
    const { version } = pair.encoder;
    for (let call = 0; call < 3; call++) {
      const { fields } = pair.send((writer, arena) => {
        const at = writer.block(requestBlock, arena, 0);
        return writeValue(arena, writer.name(traceName, arena, at), "1");
      });
      expect(fields).toEqual([...request, ["traceparent", "1"]]);
    }
    expect(pair.encoder.version).toBe(version);
  });

  it("two blocks with one slot displace each other and are still right", () => {
    const pair = new Pair();
    const blocks = [new PreparedBlock(1, [["x-a", "1"]]), new PreparedBlock(1, [["x-b", "2"]])];
    const names = [new VaryingName(1, "x-c", 9), new VaryingName(1, "x-d", 9)];
    for (let i = 0; i < 8; i++) {
      const { fields } = pair.send((writer, arena) => {
        const at = writer.block(blocks[i % 2], arena, 0);
        return writeValue(arena, writer.name(names[i % 2], arena, at), `${i}`);
      });
      expect(fields).toEqual([...blocks[i % 2].fields, [names[i % 2].name, `${i}`]]);
    }
  });

  it("any order of blocks, names, fields and settings leaves both tables in step, within the stated bounds", () => {
    const blocks = [
      requestBlock,
      new PreparedBlock(1, [[":status", "200"], request[5]]),
      new PreparedBlock(2, [["grpc-status", "0"]]),
    ];
    const names = [timeoutName, traceName, new VaryingName(2, ":path", 40), new VaryingName(3, "x-long", 500)];
    const step = fc.record({
      settings: fc.array(fc.constantFrom(0, 60, 150, 4096, 65_536), { maxLength: 2 }),
      block: fc.option(fc.nat(2)),
      names: fc.array(fc.tuple(fc.nat(3), fc.stringMatching(/^[0-9a-f]{0,9}$/)), { maxLength: 3 }),
      fields: fc.array(
        fc.tuple(
          fc.constantFrom("x-a", "x-b", ":path"),
          fc.stringMatching(/^[a-z]{0,9}$/),
          fc.constantFrom(0, 1, 2, 3),
        ),
        {
          maxLength: 3,
        },
      ),
    });
    void fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const pair = new Pair();
        for (const { settings, block, names: varying, fields } of steps) {
          // An empty block could not carry an update that is due.
          if (block === null && varying.length === 0 && fields.length === 0) continue;
          for (const bytes of settings) pair.setTableBytes(bytes);
          const expected: Field[] = [];
          const sent = pair.send((writer, arena) => {
            let at = 0;
            if (block !== null) {
              const start = at;
              at = writer.block(blocks[block], arena, at);
              expect(at - start).toBeLessThanOrEqual(blocks[block].maxBytes);
              expected.push(...blocks[block].fields);
            }
            for (const [i, value] of varying) {
              const start = at;
              at = writeValue(arena, writer.name(names[i], arena, at), value);
              expect(at - start).toBeLessThanOrEqual(names[i].maxBytes);
              expected.push([names[i].name, value]);
            }
            for (const [name, value, mode] of fields) {
              const start = at;
              at = writer.encoder.field(arena, at, name, value, mode);
              expect(at - start).toBeLessThanOrEqual(fieldBound(name, value));
              expected.push([name, value]);
            }
            return at;
          });
          expect(sent.fields).toEqual(expected);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("a slot that is no small number is refused with what to do", () => {
    for (const slot of [-1, 1.5, 70_000, Number.NaN]) {
      expect(() => new PreparedBlock(slot, [])).toThrow(RangeError);
      expect(() => new VaryingName(slot, "x", 1)).toThrow(`slot is ${slot}; number the blocks`);
    }
  });
});
