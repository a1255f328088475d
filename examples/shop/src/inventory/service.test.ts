import { create } from "@bufbuild/protobuf";
import { Code } from "bowline";
import { BadRequestSchema, findDetail, PreconditionFailureSchema } from "bowline/grpc/error-details";
import { describe, expect, it } from "vitest";
import {
  Category,
  CommitRequestSchema,
  ListProductsRequestSchema,
  ReleaseRequestSchema,
  ReservationState,
  ReserveRequestSchema,
} from "../gen/shop/inventory/v1/inventory_pb.ts";
import { contextOf, failureOf, journalled, reasonOf } from "../testing.ts";
import { inventoryHandlers } from "./service.ts";
import { Stock } from "./stock.ts";

const context = contextOf();
const inventory = () => inventoryHandlers(...journalled(new Stock()));
const wish = (reservationId: string, lines: Record<string, number>) =>
  create(ReserveRequestSchema, {
    reservationId,
    lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
  });

describe("InventoryService", () => {
  it("lists one category, or all, with what is available", async () => {
    const handlers = inventory();
    const ropes = await handlers.listProducts(create(ListProductsRequestSchema, { category: Category.ROPE }), context);
    expect(ropes.products?.every(({ category }) => category === Category.ROPE)).toBe(true);
    expect(ropes.available).toHaveProperty("twine", 2000);
    const all = await handlers.listProducts(create(ListProductsRequestSchema), context);
    expect(all.products?.length).toBe(12);
  });

  it("answers the same reservation with the same total", async () => {
    const handlers = inventory();
    const first = await handlers.reserve(wish("a", { twine: 2, cleat: 1 }), context);
    expect(first).toMatchObject({ state: ReservationState.HELD, total: { units: 37n, nanos: 700_000_000 } });
    expect(await handlers.reserve(wish("a", { twine: 2, cleat: 1 }), context)).toEqual(first);
  });

  it("says of each thing how much is missing", async () => {
    const error = await failureOf(() => inventory().reserve(wish("a", { sextant: 1, twine: 1 }), context));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(reasonOf(error)).toBe("OUT_OF_STOCK");
    const violations = findDetail(error, PreconditionFailureSchema)?.violations;
    expect(violations).toMatchObject([{ subject: "sextant", description: "0 left, 1 wanted" }]);
  });

  it("names every field that is wrong", async () => {
    const error = await failureOf(() => inventory().reserve(wish("", { twine: 0, cleat: 101 }), context));
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    const fields = findDetail(error, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
    expect(fields).toEqual(["reservation_id", "lines[0].quantity", "lines[1].quantity"]);
  });

  it("does not know what the shop does not sell", async () => {
    const error = await failureOf(() => inventory().reserve(wish("a", { whale: 1 }), context));
    expect(error.message).toBe("[NOT_FOUND] there is no product whale");
  });

  it("commits and releases as often as it is asked", async () => {
    const handlers = inventory();
    const committed = create(CommitRequestSchema, { reservationId: "a" });
    await handlers.reserve(wish("a", { twine: 2 }), context);
    for (let i = 0; i < 2; i++) {
      expect(await handlers.commit(committed, context)).toMatchObject({ state: ReservationState.COMMITTED });
    }
    const released = create(ReleaseRequestSchema, { reservationId: "b" });
    await handlers.reserve(wish("b", { twine: 2 }), context);
    for (let i = 0; i < 2; i++) {
      expect(await handlers.release(released, context)).toMatchObject({ state: ReservationState.RELEASED });
    }
    const late = create(CommitRequestSchema, { reservationId: "b" });
    expect(reasonOf(await failureOf(() => handlers.commit(late, context)))).toBe("RESERVATION_LAPSED");
  });
});
