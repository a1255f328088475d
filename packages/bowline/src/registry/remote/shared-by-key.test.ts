import { describe, expect, it } from "vitest";
import { keyOf, SharedByKey } from "./shared-by-key.ts";

describe("what is shared by key", () => {
  it("is made once for equal keys of one scope, and ended after the last", () => {
    const ended: string[] = [];
    const shared = new SharedByKey<{ name: string }>();
    const scope = {};
    let made = 0;
    const acquire = (key: string, within: object = scope) =>
      shared.acquire(
        within,
        key,
        () => ({ name: `${key}${++made}` }),
        ({ name }) => ended.push(name),
      );
    const first = acquire("a");
    const second = acquire("a");
    expect(second.value).toBe(first.value);
    expect(acquire("b").value.name).toBe("b2");
    expect(acquire("a", {}).value.name).toBe("a3");
    first.release();
    first.release();
    expect(ended).toEqual([]);
    second.release();
    expect(ended).toEqual(["a1"]);
    expect(acquire("a").value.name).toBe("a4");
  });

  it("has equal keys for equal options, whatever their order, and no others", () => {
    const a = { hosts: ["x", "y"], tls: { key: Buffer.from("k"), serverName: undefined } };
    expect(keyOf(a)).toBe(keyOf({ tls: { key: Buffer.from("k") }, hosts: ["x", "y"] }));
    expect(keyOf(a)).not.toBe(keyOf({ ...a, hosts: ["y", "x"] }));
    expect(keyOf(a)).not.toBe(keyOf({ ...a, tls: { key: Buffer.from("l") } }));
    expect(() => keyOf({ f: () => {} })).toThrow(TypeError);
  });
});
