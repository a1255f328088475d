import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLiterals, RawHpackDecoder } from "./raw-hpack.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

describe("RawHpackDecoder", () => {
  it("reads the requests of RFC 7541 appendix C.4, Huffman coded, over one table", () => {
    const decoder = new RawHpackDecoder();
    expect(decoder.decode(hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"))).toEqual([
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
    ]);
    expect(decoder.decode(hex("8286 84be 5886 a8eb 1064 9cbf")).slice(3)).toEqual([
      [":authority", "www.example.com"],
      ["cache-control", "no-cache"],
    ]);
    expect(decoder.decode(hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"))).toEqual([
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/index.html"],
      [":authority", "www.example.com"],
      ["custom-key", "custom-value"],
    ]);
  });

  it("reads the responses of RFC 7541 appendix C.6 with a table of 256 bytes and its evictions", () => {
    const decoder = new RawHpackDecoder();
    const toTableOf256 = "3fe101";
    const first = hex(`${toTableOf256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
      2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`);
    expect(decoder.decode(first)).toEqual([
      [":status", "302"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ]);
    expect(decoder.decode(hex("4883 640e ffc1 c0bf"))[0]).toEqual([":status", "307"]);
    const third =
      hex(`88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
      e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`);
    expect(decoder.decode(third)).toEqual([
      [":status", "200"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
      ["location", "https://www.example.com"],
      ["content-encoding", "gzip"],
      ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ]);
    // Three entries are left, 62 to 64; all others were evicted.
    expect(decoder.decode(hex("c0"))[0][0]).toBe("date");
    expect(() => decoder.decode(hex("c1"))).toThrow("no table entry 65");
  });

  it("reads back every list of fields that encodeLiterals writes", () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 400,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (fields) => {
        expect(new RawHpackDecoder().decode(encodeLiterals(fields))).toEqual(fields);
      }),
    );
  });

  it("says what is wrong with a malformed block", () => {
    const decode = (block: string) => () => new RawHpackDecoder().decode(hex(block));
    expect(decode("80")).toThrow("no table entry 0");
    expect(decode("be")).toThrow("no table entry 62");
    expect(decode("0003 6162")).toThrow("beyond the end");
    expect(decode("00")).toThrow("ends inside a field");
    expect(decode("0081 00")).toThrow("not padded with ones");
    expect(decode("0084 ffff ffff")).toThrow("end of string");
  });
});
