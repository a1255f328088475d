import { describe, expect, it } from "vitest";
import { codec } from "./codec.ts";
import { MESSAGE_KINDS } from "./messages/message-kind.ts";
import { unary } from "./unary.ts";

describe("--messages", () => {
  it("makes of unary a question with a place of its own on the page", () => {
    expect(unary.withMessages?.("order").name).toBe("unary order");
  });

  it("leaves codec the rows of one kind", () => {
    expect(codec.loads).toHaveLength(2 * MESSAGE_KINDS.length);
    const { loads, bars } = codec.withMessages?.("tree") ?? codec;
    expect(loads.map((load) => load.name)).toEqual(["tree encode", "tree decode"]);
    expect(bars.map((bar) => bar.load)).toEqual(["tree encode", "tree decode", "tree encode", "tree decode"]);
  });

  it("names the kinds that there are", () => {
    expect(() => unary.withMessages?.("blob")).toThrow("--messages blob: give one of tiny, order");
    expect(() => codec.withMessages?.("large")).toThrow(
      "--messages large: give one of tiny, order, blob, tree, all-types",
    );
  });
});
