import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "bowline";
import { BadRequestSchema, findDetail } from "bowline/grpc/error-details";
import { describe, expect, it } from "vitest";
import {
  AuthorizationState,
  type AuthorizeRequest,
  AuthorizeRequestSchema,
  VoidRequestSchema,
} from "../gen/shop/payment/v1/payment_pb.ts";
import { euros } from "../money.ts";
import { contextOf, failureOf, journalled, reasonOf } from "../testing.ts";
import { DECLINED_CARD } from "./bank.ts";
import { Payments } from "./payments.ts";
import { paymentHandlers } from "./service.ts";

/** A request as a literal has it. */
type Request = Exclude<MessageInitShape<typeof AuthorizeRequestSchema>, AuthorizeRequest>;

const context = contextOf();
const card = (number: string, expiryYear = 2099) => ({
  case: "card" as const,
  value: { number, expiryMonth: 12, expiryYear },
});
const wallet = { case: "wallet" as const, value: { walletId: "w-1" } };
const good = { idempotencyKey: "a", amount: euros(1999), method: { method: card("4242424242424242") } };

function payment() {
  const handlers = paymentHandlers(...journalled(new Payments()));
  return {
    authorize: (request: Request) => handlers.authorize(create(AuthorizeRequestSchema, request), context),
    undo: (idempotencyKey: string) => handlers.void(create(VoidRequestSchema, { idempotencyKey }), context),
  };
}

const reasonFor = async (request: Request) =>
  reasonOf(await failureOf(() => payment().authorize({ ...good, ...request })));

describe("PaymentService", () => {
  it("takes money by card and from a wallet", async () => {
    const { authorize } = payment();
    expect(await authorize(good)).toMatchObject({ paidWith: "card ending in 4242", amount: euros(1999) });
    const other = { idempotencyKey: "b", amount: euros(5), method: { method: wallet } };
    expect(await authorize(other)).toMatchObject({ paidWith: "wallet w-1", state: AuthorizationState.AUTHORIZED });
  });

  it("lets nobody pay twice with one key", async () => {
    const { authorize } = payment();
    const first = await authorize(good);
    expect(await authorize({ ...good, amount: euros(1), method: { method: wallet } })).toEqual(first);
  });

  it("gives the money back, as often as it is asked", async () => {
    const { authorize, undo } = payment();
    await authorize(good);
    for (let i = 0; i < 2; i++) expect(await undo("a")).toMatchObject({ state: AuthorizationState.VOIDED });
    expect((await failureOf(() => undo("b"))).code).toBe(Code.NOT_FOUND);
  });

  it("says why the bank or the wallet refuses", async () => {
    expect(await reasonFor({ method: { method: card(DECLINED_CARD) } })).toBe("CARD_DECLINED");
    expect(await reasonFor({ method: { method: card("4242424242424242", 2020) } })).toBe("CARD_EXPIRED");
    expect(await reasonFor({ method: { method: wallet }, amount: euros(1_000_001) })).toBe("WALLET_LIMIT");
  });

  it("names every field that is wrong", async () => {
    const bad = { case: "card" as const, value: { number: "4242424242424243", expiryMonth: 13, expiryYear: 31 } };
    const error = await failureOf(() => payment().authorize({ method: { method: bad } }));
    const fields = findDetail(error, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
    const ofCard = ["number", "expiry_month", "expiry_year"].map((field) => `method.card.${field}`);
    expect(fields).toEqual(["idempotency_key", "amount", ...ofCard]);
  });

  it("wants a card or a wallet", async () => {
    const error = await failureOf(() => payment().authorize({ ...good, method: {} }));
    expect(error.message).toBe("[INVALID_ARGUMENT] method: card or wallet");
  });
});
