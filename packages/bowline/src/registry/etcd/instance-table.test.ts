import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import { InstanceTable } from "./instance-table.ts";

const value = (address: string) => ({ address, tags: {} });
const detailed = (id: string, address: string, network: string = ""): Instance => ({
  ...instanceAt(address),
  id,
  addresses: [{ address, network }],
});
const ids = (table: InstanceTable): string[] => table.list().map(({ id }) => id);

describe("the instances of a service in etcd", () => {
  it("are their addresses where nothing else is known", () => {
    const table = new InstanceTable(true);
    table.setValue("1", value("h:1"), 2);
    expect(table.list()).toEqual([instanceAt("h:1")]);
  });

  it("wait for their second key, whichever comes first", () => {
    const table = new InstanceTable(true);
    table.setValue("1", value("h:1"), 2);
    expect(table.hasHalves).toBe(true);
    table.setDetails("1", detailed("a", "h:1"), 2);
    expect([table.hasHalves, ids(table)]).toEqual([false, ["a"]]);
    table.setDetails("2", detailed("b", "h:2"), 3);
    expect([table.hasHalves, ids(table)]).toEqual([false, ["a"]]);
    table.setValue("2", value("h:2"), 3);
    expect([table.hasHalves, ids(table)]).toEqual([false, ["a", "b"]]);
    table.remove("1", 1);
    expect(table.hasHalves).toBe(true);
    table.remove("1", 0);
    expect([table.hasHalves, ids(table)]).toEqual([false, ["b"]]);
  });

  it("are told once when two keys say the same, and the newer one counts", () => {
    const table = new InstanceTable(true);
    table.setValue("1", value("h:1"), 2);
    table.setValue("2", value("h:1"), 3);
    const [first] = table.list();
    expect(table.list()).toEqual([instanceAt("h:1")]);
    table.remove("2", 0);
    expect(table.list()).toEqual([first]);
  });

  it("stay the same objects when their key is written anew, or stands under another lease", () => {
    const table = new InstanceTable(true);
    table.setValue("1", value("h:1"), 2);
    table.setDetails("1", detailed("a", "h:1"), 2);
    const [before] = table.list();
    table.setValue("1", value("h:1"), 5);
    table.setDetails("1", detailed("a", "h:1"), 5);
    expect(table.list()[0]).toBe(before);
    table.setDetails("9", detailed("a", "h:1"), 6);
    table.setValue("9", value("h:1"), 6);
    table.remove("1", 0);
    table.remove("1", 1);
    expect(table.list()).toHaveLength(1);
    expect(table.list()[0]).toBe(before);
  });

  it("stay the same objects when they go and come back before the list is told", () => {
    const table = new InstanceTable(true);
    const put = (suffix: string, weight: number, revision: number): void => {
      table.setValue(suffix, value("h:1"), revision);
      table.setDetails(suffix, { ...detailed("a", "h:1"), weight }, revision);
    };
    const remove = (suffix: string): void => {
      for (const range of [0, 1]) table.remove(suffix, range);
    };
    put("1", 1, 2);
    table.told();
    const [before] = table.list();
    remove("1");
    put("2", 1, 4);
    expect(table.list()[0]).toBe(before);
    // What it was in between does not count.
    remove("2");
    put("3", 7, 6);
    expect(table.list()).toEqual([{ ...before, weight: 7 }]);
    remove("3");
    put("4", 1, 8);
    expect(table.list()[0]).toBe(before);
    remove("4");
    table.told();
    put("5", 1, 10);
    expect(table.list()).toEqual([before]);
    expect(table.list()[0]).not.toBe(before);
  });

  it("with one private address in two networks are two", () => {
    const table = new InstanceTable(true);
    for (const [suffix, network] of [
      ["1", "vpc-a"],
      ["2", "vpc-b"],
    ]) {
      table.setDetails(suffix, detailed(`user-${network}`, "10.0.0.7:80", network), 2);
      table.setValue(suffix, value("10.0.0.7:80"), 2);
    }
    expect(ids(table)).toEqual(["user-vpc-a", "user-vpc-b"]);
    expect(table.rivalOf("1")).toBeUndefined();
  });

  it("with one id and two addresses are one, the newest, and the other is named", () => {
    const table = new InstanceTable(true);
    for (const number of [1, 2]) {
      table.setDetails(String(number), detailed("twin", `h:${number}`), number);
      table.setValue(String(number), value(`h:${number}`), number);
    }
    expect(table.list().map(({ addresses }) => addresses[0].address)).toEqual(["h:2"]);
    expect(table.rivalOf("2")).toEqual({ id: "twin", addresses: ["h:1", "h:2"] });
  });

  it("are those that a full read has found, also when nothing tells of those that went", () => {
    const table = new InstanceTable(true);
    table.setValue("1", value("h:1"), 2);
    table.setValue("2", value("h:2"), 3);
    table.beginRead();
    expect(table.found("2", 0, 3)).toBe(true);
    expect(table.found("1", 0, 4)).toBe(false);
    const gone: string[] = [];
    table.endRead((suffix, range) => gone.push(`${suffix} ${range}`));
    expect([gone, ids(table)]).toEqual([["1 0"], ["h:2"]]);
  });

  it("are the same whether changes come one by one or the whole is read", () => {
    const suffix = fc.constantFrom("1", "2", "3", "4");
    const address = fc.constantFrom("h:1", "h:2", "h:3");
    const step = fc.oneof(
      fc.record({ kind: fc.constant("value" as const), suffix, address }),
      fc.record({ kind: fc.constant("details" as const), suffix, address, id: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constantFrom("no value" as const, "no details" as const), suffix, address }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new InstanceTable(true);
        const values = new Map<string, { address: string; revision: number }>();
        const details = new Map<string, { instance: Instance; revision: number }>();
        steps.forEach((each, at) => {
          const revision = at + 1;
          if (each.kind === "value") {
            values.set(each.suffix, { address: each.address, revision });
            table.setValue(each.suffix, value(each.address), revision);
          } else if (each.kind === "details") {
            const instance = detailed(each.id, each.address);
            details.set(each.suffix, { instance, revision });
            table.setDetails(each.suffix, instance, revision);
          } else if (each.kind === "no value") {
            values.delete(each.suffix);
            table.remove(each.suffix, 0);
          } else {
            details.delete(each.suffix);
            table.remove(each.suffix, 1);
          }
        });
        const whole = new InstanceTable(true);
        for (const [key, { instance, revision }] of details) whole.setDetails(key, instance, revision);
        for (const [key, { address: at, revision }] of values) whole.setValue(key, value(at), revision);
        const told = (from: InstanceTable): string[] =>
          from
            .list()
            .map(({ id, addresses }) => `${id} ${addresses[0].address}`)
            .sort();
        expect(told(table)).toEqual(told(whole));
        expect(new Set(table.list().map(({ id }) => id)).size).toBe(table.list().length);
      }),
    );
  });
});
