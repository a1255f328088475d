import { describe, expect, it } from "vitest";
import { Murmur3 } from "./murmur3.ts";

describe("MurmurHash3", () => {
  // By github.com/spaolacci/murmur3 v1.1.0, Sum64, which go-zero uses.
  it.each([
    ["", "0000000000000000"],
    ["a", "85555565f6597889"],
    ["10.0.0.1:80800", "f542f529f82dc248"],
    ["123456789012345", "887001aea2afcfd6"],
    ["1234567890123456", "4fbe5dc5c0e32cf8"],
    ["The quick brown fox jumps over the lazy dog", "e34bbc7bbc071b6c"],
    ["späte Ablehnung — 稍后再试 ⚓", "0df50aa7f7520598"],
  ])("of %j is %s", (text, expected) => {
    const hash = new Murmur3();
    hash.hash("something before it");
    hash.hash(text);
    expect(hash.high.toString(16).padStart(8, "0") + hash.low.toString(16).padStart(8, "0")).toBe(expected);
  });

  it("of a long text is right, too", () => {
    const hash = new Murmur3();
    hash.hash("x".repeat(100_000));
    expect([hash.high, hash.low]).toEqual([0xf79b121f, 0x3f344cae]);
  });
});
