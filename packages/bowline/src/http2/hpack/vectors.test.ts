import { describe, expect, it } from "vitest";
import { readHpackStories } from "../../../../../test/data/hpack/stories.ts";
import { RawHpackDecoder } from "../../testing/raw-hpack.ts";
import { DecodeResult, HpackDecoder } from "./decoder.ts";
import { FieldMode, fieldBound, HpackEncoder } from "./encoder.ts";

type Field = readonly [name: string, value: string];

const tokens = new Map<string, number>();

function newDecoder(): HpackDecoder {
  return new HpackDecoder({ tokens, derive: (fields) => fields.map(({ name, value }): Field => [name, value]) });
}

/** The decoded fields, or the name of the failure. */
function decode(decoder: HpackDecoder, wire: Buffer): Field[] | string {
  const result = decoder.decode(wire, 0, wire.length);
  if (result !== DecodeResult.OK) return `result ${result}`;
  const list = decoder.hasPrefix ? [...(decoder.derived as Field[])] : [];
  for (let i = 0; i < decoder.count; i++) list.push([decoder.name(i), decoder.value(i)]);
  return list;
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

describe("RFC 7541 appendix C", () => {
  const request1: Field[] = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ];
  const request2: Field[] = [...request1, ["cache-control", "no-cache"]];
  const request3: Field[] = [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/index.html"],
    [":authority", "www.example.com"],
    ["custom-key", "custom-value"],
  ];
  const found: Field[] = [
    [":status", "302"],
    ["cache-control", "private"],
    ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["location", "https://www.example.com"],
  ];
  const temporary: Field[] = [[":status", "307"], ...found.slice(1)];
  const ok: Field[] = [
    [":status", "200"],
    ["cache-control", "private"],
    ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
    ["location", "https://www.example.com"],
    ["content-encoding", "gzip"],
    ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ];

  /** What the dynamic table holds, newest first: it ends where an index is out of range. */
  function tableOf(decoder: HpackDecoder): Field[] {
    const table: Field[] = [];
    for (let index = 62; ; index++) {
      const list = decode(decoder, Buffer.of(0x80 | index));
      if (typeof list === "string") return table;
      table.push(...list);
    }
  }

  it("C.2: one literal of each kind", () => {
    expect(decode(newDecoder(), hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"))).toEqual([
      ["custom-key", "custom-header"],
    ]);
    expect(decode(newDecoder(), hex("040c 2f73 616d 706c 652f 7061 7468"))).toEqual([[":path", "/sample/path"]]);
    expect(decode(newDecoder(), hex("1008 7061 7373 776f 7264 0673 6563 7265 74"))).toEqual([["password", "secret"]]);
    expect(decode(newDecoder(), hex("82"))).toEqual([[":method", "GET"]]);
  });

  const plainRequests: [string, Field[]][] = [
    ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", request1],
    ["8286 84be 5808 6e6f 2d63 6163 6865", request2],
    ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", request3],
  ];
  const codedRequests: [string, Field[]][] = [
    ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", request1],
    ["8286 84be 5886 a8eb 1064 9cbf", request2],
    ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", request3],
  ];
  it.each([
    ["C.3: requests", plainRequests],
    ["C.4: requests in Huffman code", codedRequests],
  ])("%s", (_, blocks) => {
    const decoder = newDecoder();
    for (const [wire, list] of blocks) expect(decode(decoder, hex(wire))).toEqual(list);
    expect(tableOf(decoder)).toEqual([
      ["custom-key", "custom-value"],
      ["cache-control", "no-cache"],
      [":authority", "www.example.com"],
    ]);
  });

  const plainResponses: [string, Field[]][] = [
    [
      "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      found,
    ],
    ["4803 3330 37c1 c0bf", temporary],
    [
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
      ok,
    ],
  ];
  const codedResponses: [string, Field[]][] = [
    [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      found,
    ],
    ["4883 640e ffc1 c0bf", temporary],
    [
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ok,
    ],
  ];
  it.each([
    ["C.5: responses, evicting from a table of 256 octets", plainResponses],
    ["C.6: the same in Huffman code", codedResponses],
  ])("%s", (_, blocks) => {
    const decoder = newDecoder();
    decoder.setLimit(256);
    expect(decode(decoder, hex("3fe1 01"))).toEqual([]);
    for (const [wire, list] of blocks) expect(decode(decoder, hex(wire))).toEqual(list);
    expect(tableOf(decoder)).toEqual([ok[5], ok[4], ok[2]]);
  });
});

describe("http2jp/hpack-test-case", () => {
  const stories = readHpackStories();
  const encoded = stories.filter(({ folder }) => folder !== "raw-data");
  const raw = stories.filter(({ folder }) => folder === "raw-data");

  it("every block of every encoder decodes to the fields of the story, table size changes included", () => {
    let blocks = 0;
    const failures: string[] = [];
    for (const story of encoded) {
      const { folder, name } = story;
      const decoder = newDecoder();
      for (const { wire, fields, tableBytes } of story.blocks) {
        if (tableBytes !== undefined) decoder.setLimit(tableBytes);
        const list = decode(decoder, wire);
        if (JSON.stringify(list) !== JSON.stringify(fields)) failures.push(`${folder}/${name}: ${list}`);
        blocks++;
      }
    }
    expect(failures).toEqual([]);
    expect(blocks).toBe(47_142);
  }, 60_000);

  it.each([
    ["a table that is never too small", [4096]],
    ["a table that comes and goes", [4096, 0, 256, 4096, 1000, 65_536]],
  ])(
    "our encoder's blocks decode to the fields of the story, here and in a plain decoder, with %s",
    (_, sizes) => {
      const failures: string[] = [];
      let blocks = 0;
      for (const story of raw) {
        const { name } = story;
        const encoder = new HpackEncoder();
        const decoder = newDecoder();
        const otherDecoder = new RawHpackDecoder();
        for (const { fields: list } of story.blocks) {
          if (blocks % 7 === 0) {
            const bytes = sizes[(blocks / 7) % sizes.length];
            encoder.setMaxTableBytes(bytes);
            decoder.setLimit(bytes);
          }
          const wire = Buffer.alloc(list.reduce((sum, [name, value]) => sum + fieldBound(name, value), 0));
          let end = encoder.begin(wire, 0);
          for (const [name, value] of list) end = encoder.field(wire, end, name, value, FieldMode.INSERT);
          const decoded = decode(decoder, wire.subarray(0, end));
          const otherDecoded = otherDecoder.decode(wire.subarray(0, end));
          if (JSON.stringify(decoded) !== JSON.stringify(list)) failures.push(`${name}: ${decoded}`);
          if (JSON.stringify(otherDecoded) !== JSON.stringify(list))
            failures.push(`${name}, plain decoder: ${otherDecoded}`);
          blocks++;
        }
      }
      expect(failures).toEqual([]);
      expect(blocks).toBeGreaterThan(3000);
    },
    60_000,
  );
});
