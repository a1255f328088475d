import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, RpcError } from "bowline";
import { describe, expect, it } from "vitest";
import {
  type StockChange,
  StockChangeSchema,
  type WatchStockRequest,
  WatchStockRequestSchema,
} from "../gen/shop/inventory/v1/inventory_pb.ts";
import { failureOf } from "../testing.ts";
import { liveStock } from "./live-stock.ts";
import { resumed } from "./resumed.ts";

type Wish = MessageInitShape<typeof WatchStockRequestSchema>;

const lost = new RpcError(Code.UNAVAILABLE, "the instance is gone");
const { signal } = new AbortController();

/** Streams that are opened one after the other: each gives its values, then fails if the last one is an error. */
function streams<T>(...all: readonly (T | Error)[][]): { open: () => AsyncIterable<T>; opened: () => number } {
  let opened = 0;
  async function* open(): AsyncIterable<T> {
    for (const value of all[opened++] ?? []) {
      if (value instanceof Error) throw value;
      yield value;
    }
  }
  return { open, opened: () => opened };
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream) values.push(value);
  return values;
}

describe("a resumed stream", () => {
  it("goes on, on another instance, when one is lost", async () => {
    const { open } = streams<number | RpcError>([1, 2, lost], [lost], [2, 3]);
    expect(await all(resumed(open, signal, 0))).toEqual([1, 2, 2, 3]);
  });

  it("gives up after five losses in a row", async () => {
    const { open, opened } = streams([lost], [lost], [lost], [lost], [lost], [lost]);
    expect((await failureOf(() => all(resumed(open, signal, 0)))).code).toBe(Code.UNAVAILABLE);
    expect(opened()).toBe(5);
  });

  it("hands on any other end", async () => {
    const { open, opened } = streams<number | RpcError>([1, new RpcError(Code.NOT_FOUND, "no such order")]);
    expect((await failureOf(() => all(resumed(open, signal, 0)))).code).toBe(Code.NOT_FOUND);
    expect(opened()).toBe(1);
  });
});

describe("live stock", () => {
  it("tells another instance all that the customer is subscribed to when one is lost", async () => {
    const told: string[][] = [];
    const customer = async function* (): AsyncIterable<WatchStockRequest> {
      yield create(WatchStockRequestSchema, { action: { case: "subscribe", value: { skus: ["twine", "cleat"] } } });
      yield create(WatchStockRequestSchema, { action: { case: "unsubscribe", value: { skus: ["twine"] } } });
      yield create(WatchStockRequestSchema, { action: { case: "subscribe", value: { skus: ["gloves"] } } });
    };
    const inventory = {
      watchStock: async function* (requests: AsyncIterable<Wish>): AsyncIterable<StockChange> {
        const wishes: string[] = [];
        told.push(wishes);
        for await (const { action } of requests) wishes.push(`${action?.case} ${action?.value?.skus?.join(",")}`);
        if (told.length === 1) throw lost;
        yield create(StockChangeSchema, { sku: "gloves", available: 1 });
      },
    };
    const changes = await all(liveStock(inventory as Parameters<typeof liveStock>[0], customer(), signal));
    expect(changes).toMatchObject([{ sku: "gloves" }]);
    expect(told[1]).toEqual(["subscribe cleat,gloves"]);
  });
});
