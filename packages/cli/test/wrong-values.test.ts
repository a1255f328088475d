import { type Codec, fromBytes, RpcError, toBytes } from "bowline";
import { describe, expect, it } from "vitest";
import { DigitsCodec } from "./golden/gen/clash/v1/messages_rpc.ts";
import { LegacyCodec } from "./golden/gen/legacy_rpc.ts";
import { BasketCodec, OrderCodec } from "./golden/gen/shop/v1/order_rpc.ts";

/** Why a message is refused by the codec that measures first and the one that does not; what is sent instead if it is not refused. */
function refusals<T>(codec: Codec<T>, message: () => unknown): string[] {
  const measured = (): string => {
    const bytes = Buffer.alloc(codec.measure(message() as T) + 100_000);
    return bytes.subarray(0, codec.write(message() as T, bytes, 0)).toString("hex");
  };
  return [measured, () => Buffer.from(toBytes(codec, message() as T)).toString("hex")].map((encode) => {
    try {
      return encode();
    } catch (error) {
      return RpcError.is(error) && error.reason === "codec" ? error.message : `not an RpcError: ${error}`;
    }
  });
}

describe("generated code", () => {
  const many = Array.from({ length: 3000 }, () => "abcdefgh");
  const line = { sku: "a" };
  it.each<[string, () => unknown, string]>([
    [
      "an iterator for texts",
      () => ({ skus: many.slice(0, 3).values() }),
      "skus: expected an array, got an object (Iterator)",
    ],
    ["a long iterator for texts", () => ({ skus: many.values() }), "skus: expected an array, got an object (Iterator)"],
    ["a Set for texts", () => ({ skus: new Set(["a"]) }), "skus: expected an array, got an object (Set)"],
    ["a text for texts", () => ({ skus: "abc" }), 'skus: expected an array, got "abc"'],
    ["a Set for packed numbers", () => ({ counts: new Set([1]) }), "counts: expected an array, got an object (Set)"],
    ["an object for packed numbers", () => ({ counts: {} }), "counts: expected an array, got an object"],
    ["a number for packed numbers", () => ({ prices: 5 }), "prices: expected an array, got 5"],
    [
      "a Set for numbers that are not packed",
      () => ({ rows: new Set([1]) }),
      "rows: expected an array, got an object (Set)",
    ],
    ["a Set for byte strings", () => ({ pictures: new Set() }), "pictures: expected an array, got an object (Set)"],
    [
      "an iterator for messages",
      () => ({ lines: [line].values() }),
      "lines: expected an array, got an object (Iterator)",
    ],
    [
      "a Map for a map",
      () => ({ notes: new Map([["a", "b"]]) }),
      "notes: expected a plain object, got an object (Map)",
    ],
    ["an array for a map", () => ({ notes: ["a"] }), "notes: expected a plain object, got an array"],
    ["a text for a map", () => ({ notes: "ab" }), 'notes: expected a plain object, got "ab"'],
    ["a number for a map", () => ({ notes: 5 }), "notes: expected a plain object, got 5"],
    [
      "a Map for a map of messages",
      () => ({ byRow: new Map() }),
      "byRow: expected a plain object, got an object (Map)",
    ],
    [
      "a Set for a map of Structs",
      () => ({ byChoice: new Set() }),
      "byChoice: expected a plain object, got an object (Set)",
    ],
    [
      "a Date in a Struct",
      () => ({ byChoice: { true: { when: [{ at: new Date(0) }] } } }),
      'byChoice["true"]["when"][0]["at"]: expected a JSON object, got an object (Date)',
    ],
    [
      "an ArrayBuffer for bytes",
      () => ({ token: new ArrayBuffer(100) }),
      "token: an object (ArrayBuffer) is no bytes (a Uint8Array)",
    ],
    [
      "a DataView for bytes",
      () => ({ token: new DataView(new ArrayBuffer(9)) }),
      "token: an object (DataView) is no bytes (a Uint8Array)",
    ],
    ["a number for bytes", () => ({ token: 5 }), "token: 5 is no bytes (a Uint8Array)"],
    [
      "an ArrayBuffer for a BytesValue",
      () => ({ seal: new ArrayBuffer(9) }),
      "seal: an object (ArrayBuffer) is no bytes (a Uint8Array)",
    ],
    [
      "a case that is none",
      () => ({ payment: { case: "coins", value: 1 } }),
      'payment: it has no case "coins" (card, cash, debit)',
    ],
    [
      "a case that is none, of a single one",
      () => ({ gift: { case: "card", value: "x" } }),
      'gift: it has no case "card" (wish)',
    ],
  ])("refuses %s, with the field's name", (_, message, reason) => {
    const error = `[INTERNAL] can't encode shop.v1.Basket: ${reason}`;
    expect(refusals(BasketCodec, message)).toEqual([error, error]);
  });

  it("names the field where it stands", () => {
    const [error] = refusals(OrderCodec, () => ({
      bySku: { a: { price: { cents: 1n } } },
      lines: [{}, new Map()].values(),
    }));
    expect(error).toContain("lines: expected an array");
  });

  it("takes each case of a oneof, none, and plain objects of whatever origin", () => {
    const basket = {
      skus: [],
      notes: Object.assign(Object.create(null), { a: "b" }),
      byRow: { 7: line },
      token: new Uint8Array(0),
      gift: { case: "wish", value: "x" },
    } as const;
    for (const payment of [
      { case: "card", value: "1" },
      { case: "cash", value: Uint8Array.of(1) },
      { case: "debit", value: 5n },
      { case: undefined },
    ] as const) {
      const decoded = fromBytes(BasketCodec, toBytes(BasketCodec, { ...basket, payment } as never));
      expect(decoded).toMatchObject({ notes: { a: "b" }, byRow: { 7: line }, gift: basket.gift, payment });
    }
    expect(toBytes(BasketCodec, {} as never)).toHaveLength(0);
  });

  it("has fields whose properties are numbers", () => {
    const digits = {
      1: "a",
      2: [1, -1],
      3: { x: { 1: "b" } },
      4: Uint8Array.of(1),
      5: 0,
      6: { case: "7", value: "c" },
    };
    const decoded = fromBytes(DigitsCodec, toBytes(DigitsCodec, { ...digits, 9: { 1: "d" } } as never));
    expect(decoded).toMatchObject({ ...digits, 9: { 1: "d" } });
    const legacy = { name: "x", 4: Uint8Array.of(1), 5: ["a", "b"] };
    expect(fromBytes(LegacyCodec, toBytes(LegacyCodec, legacy as never))).toMatchObject(legacy);
  });

  it("reads entries of a map without a value as empty messages, however many", () => {
    const entry = (key: string): number[] => [0x22, 2 + key.length, 0x0a, key.length, ...Buffer.from(key)];
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    const { bySku } = fromBytes(OrderCodec, Buffer.from(keys.flatMap(entry)));
    expect(Object.keys(bySku)).toEqual(keys);
    expect(bySku.k299).toEqual({ $typeName: "shop.v1.Order.Line", sku: "", count: 0 });
    const choices = fromBytes(BasketCodec, Buffer.from([0x4a, 2, 8, 1])).byChoice;
    expect(choices).toEqual({ true: {} });
  });
});
