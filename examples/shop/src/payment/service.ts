import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInit } from "bowline/codegen";
import { type AuthorizationSchema, AuthorizationState } from "../gen/shop/payment/v1/payment_pb.ts";
import type { PaymentServiceHandlers } from "../gen/shop/payment/v1/payment_rpc.ts";
import type { Journal } from "../instance/journal.ts";
import { type Amount, amountProblem, cents, euros } from "../money.ts";
import { isKey, notFound, requireValid } from "../requests.ts";
import { ask, checkMethod } from "./bank.ts";
import type { Payment, PaymentEvent, Payments } from "./payments.ts";

const STATES = { authorized: AuthorizationState.AUTHORIZED, voided: AuthorizationState.VOIDED } as const;

/** PaymentService: asks the bank once for each idempotency key, whatever happens to the answer on its way back. */
export function paymentHandlers(payments: Payments, journal: Journal<PaymentEvent>): PaymentServiceHandlers {
  return {
    authorize({ idempotencyKey: key, amount, method }) {
      requireValid({
        idempotency_key: isKey(key),
        amount: amountProblem(amount) ?? (amount?.currency === "EUR" || "the shop takes EUR only"),
        ...checkMethod(method ?? { method: { case: undefined } }),
      });
      journal.catchUp();
      const known = payments.find(key);
      if (known !== undefined) return toAuthorization(known);
      const paidWith = ask(method as NonNullable<typeof method>, amount as Amount, new Date());
      const promised = { key, currency: "EUR", cents: cents(amount as Amount), paidWith, at: Date.now() };
      journal.append({ kind: "authorized", ...promised });
      return toAuthorization(payments.find(key) as Payment);
    },

    void({ idempotencyKey: key }) {
      requireValid({ idempotency_key: isKey(key) });
      journal.append({ kind: "voided", key });
      const payment = payments.find(key);
      if (payment === undefined) throw notFound("authorization", key);
      return toAuthorization(payment);
    },
  };
}

function toAuthorization(payment: Payment): MessageInit<typeof AuthorizationSchema> {
  const { key, state, cents: amount, paidWith, at } = payment;
  return { id: `pay-${key}`, state: STATES[state], amount: euros(amount), paidWith, at: timestampFromMs(at) };
}
