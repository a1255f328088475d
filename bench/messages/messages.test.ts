import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Order, OrderSchema } from "../gen/bench/v1/order_pb.ts";
import { type Tiny, TinySchema } from "../gen/bench/v1/tiny_pb.ts";
import { CALL_KINDS, checkAnswer, isAnswer, older, paid } from "./answers.ts";
import { MESSAGE_KINDS, messagesOf } from "./message-kind.ts";

const sizes = {
  tiny: [24, 24],
  order: [1800, 2100],
  blob: [10_000, 10_200],
  tree: [9000, 11_000],
  "all-types": [1100, 1400],
};

describe.each(MESSAGE_KINDS)("messages of the kind %s", (kind) => {
  const { bytes, inits } = messagesOf(kind);

  it("have the size that the tables speak of", () => {
    const lengths = bytes.map((each) => each.length);
    const [least, most] = sizes[kind];
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(most);
  });

  it("differ from one another and not from one run to the next", () => {
    expect(new Set(bytes.map((each) => Buffer.from(each).toString("hex"))).size).toBe(bytes.length);
    expect(messagesOf(kind).inits).toEqual(inits);
  });
});

describe.each(CALL_KINDS)("the answer to a %s", (kind) => {
  const set = messagesOf(kind);
  const asked = set.messages[3];
  const answer = kind === "tiny" ? create(TinySchema, older(asked as Tiny)) : create(OrderSchema, paid(asked as Order));

  it("is what a handler makes of it", () => {
    expect(isAnswer(kind, answer)).toBe(true);
    expect(() => checkAnswer(set, 3, toBinary(set.schema, answer))).not.toThrow();
  });

  it("is neither what was sent nor the answer to another", () => {
    expect(() => checkAnswer(set, 3, set.bytes[3])).toThrow();
    expect(() => checkAnswer(set, 4, toBinary(set.schema, answer))).toThrow();
  });
});
