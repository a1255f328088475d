import type { Card, PaymentMethod, Wallet } from "../gen/shop/payment/v1/payment_pb.ts";
import { type Amount, cents } from "../money.ts";
import { refusal } from "../requests.ts";

/** The card that every test bank declines. */
export const DECLINED_CARD = "4000000000000002";
/** What a wallet pays at once. */
const WALLET_LIMIT_CENTS = 1_000_000;

/** What is wrong with the way to pay, by field; `true` when nothing is. */
export function checkMethod({ method }: Pick<PaymentMethod, "method">): Record<string, true | string> {
  switch (method.case) {
    case "card":
      return {
        "method.card.number":
          isCardNumber(method.value.number) || "12 to 19 digits, the last one as Luhn's formula wants it",
        "method.card.expiry_month": (method.value.expiryMonth >= 1 && method.value.expiryMonth <= 12) || "1 to 12",
        "method.card.expiry_year": (method.value.expiryYear >= 2000 && method.value.expiryYear < 2100) || "as in 2031",
      };
    case "wallet":
      return { "method.wallet.wallet_id": method.value.walletId.length > 0 || "the id of a wallet" };
    default:
      return { method: "card or wallet" };
  }
}

/**
 * Asks the bank or the wallet for an amount.
 *
 * @returns what the receipt says
 * @throws RpcError FAILED_PRECONDITION when the answer is no
 */
export function ask({ method }: Pick<PaymentMethod, "method">, amount: Amount, today: Date): string {
  if (method.case === "card") return askBank(method.value, today);
  return askWallet(method.value as Wallet, amount);
}

function askBank({ number, expiryMonth, expiryYear }: Card, today: Date): string {
  const subject = `card ending in ${number.slice(-4)}`;
  // It is good to the end of its month.
  if (Date.UTC(expiryYear, expiryMonth) <= today.getTime()) {
    throw refusal("CARD_EXPIRED", [{ subject, description: `expired at the end of ${expiryMonth}/${expiryYear}` }]);
  }
  if (number === DECLINED_CARD) throw refusal("CARD_DECLINED", [{ subject, description: "declined by the bank" }]);
  return subject;
}

function askWallet({ walletId }: Wallet, amount: Amount): string {
  const subject = `wallet ${walletId}`;
  if (cents(amount) > WALLET_LIMIT_CENTS) {
    const description = `pays ${WALLET_LIMIT_CENTS / 100} ${amount.currency} at most`;
    throw refusal("WALLET_LIMIT", [{ subject, description }]);
  }
  return subject;
}

/** Luhn's formula (ISO/IEC 7812-1, annex B): every second digit from the right is doubled, and all sum up to tens. */
function isCardNumber(number: string): boolean {
  if (!/^\d{12,19}$/.test(number)) return false;
  let total = 0;
  for (let i = 0; i < number.length; i++) {
    const digit = Number(number[number.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    total += doubled > 9 ? doubled - 9 : doubled;
  }
  return total % 10 === 0;
}
