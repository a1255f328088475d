import type { MessageInit } from "bowline/codegen";
import {
  type AddressSchema,
  type CustomerSchema,
  type MoneySchema,
  type OrderLineSchema,
  type OrderSchema,
  OrderStatus,
} from "../gen/bench/v1/order_pb.ts";
import { NAMES, Values } from "./values.ts";

const LINES = 20;
/** 1 January 2026, in seconds since 1970. */
const NEW_YEAR = 1_767_225_600;

const TITLES = [
  "Rope, 10 mm, by the metre, white",
  "Shackle, stainless steel, 8 mm",
  "Winch handle, floating, 250 mm",
  "Takelgarn, gewachst, 50 m, weiß",
  "Fender 15 × 60 cm with eyes",
  "Cleat of aluminium, 200 mm",
  "Block with ball bearings, 57 mm",
  "Bootsmannsstuhl mit Werkzeugtasche",
  "Ficelle à surlier, noire, 40 m",
  "Lifejacket 150 N with harness",
] as const;
const CURRENCIES = ["EUR", "USD", "CHF", "JPY"] as const;
const STREETS = ["Hafenstraße", "Rue du Port", "Harbour Road", "Kajen", "Calle Marina"] as const;
const CITIES = ["Hamburg", "Göteborg", "Saint-Malo", "Portsmouth", "Cádiz"] as const;
const COUNTRIES = ["DE", "SE", "FR", "GB", "ES"] as const;
const CHANNELS = ["web", "app", "telephone"] as const;

/** The n-th of the orders: 20 lines, about 1.9 kB on the wire. */
export function orderInit(index: number): MessageInit<typeof OrderSchema> {
  const values = new Values(1000 + index);
  const currency = values.of(CURRENCIES);
  const createdAt = { seconds: BigInt(NEW_YEAR + values.integer(20_000_000)), nanos: values.integer(1_000_000_000) };
  const lines = Array.from({ length: LINES }, () => line(values, currency));
  return {
    id: values.bits(40),
    number: `2026-${100_000 + values.integer(900_000)}`,
    status: OrderStatus.PLACED,
    customer: customer(values),
    shipTo: address(values),
    billTo: address(values),
    lines,
    total: money(values, currency, 100_000),
    shipping: money(values, currency, 100),
    createdAt,
    updatedAt: { seconds: createdAt.seconds + BigInt(values.integer(86_400)), nanos: values.integer(1_000_000_000) },
    labels: labels(values),
    taxes: { "VAT 19 %": values.integer(10_000) / 100, "VAT 7 %": values.integer(1000) / 100 },
    parcels: { 1: 2n, 4: BigInt(1 + values.integer(5)), [5 + values.integer(15)]: 1n },
    weightKg: values.integer(100_000) / 1000,
    isGift: values.integer(4) === 0,
    ...(values.integer(2) === 0 ? { note: "Please ring at the back door, Grüße" } : {}),
  };
}

function line(values: Values, currency: string): MessageInit<typeof OrderLineSchema> {
  const discounts = [0, 0, 0, -5, 10];
  return {
    sku: `SKU-${1000 + values.integer(9000)}-${values.of(["BLK", "RED", "BLU", "WHT"])}`,
    title: values.of(TITLES),
    quantity: 1 + values.integer(12),
    price: money(values, currency, 900),
    weightKg: values.integer(20_000) / 1000,
    discountPercent: values.of(discounts),
  };
}

function money(values: Values, currency: string, below: number): MessageInit<typeof MoneySchema> {
  return { currency, units: BigInt(1 + values.integer(below)), nanos: values.integer(100) * 10_000_000 };
}

function customer(values: Values): MessageInit<typeof CustomerSchema> {
  const id = values.bits(34);
  const since = { seconds: BigInt(NEW_YEAR - values.integer(200_000_000)), nanos: 0 };
  return { id, name: values.of(NAMES), email: `customer.${id}@example.com`, since };
}

function address(values: Values): MessageInit<typeof AddressSchema> {
  const place = values.integer(CITIES.length);
  return {
    name: values.of(NAMES),
    street: [`${STREETS[place]} ${1 + values.integer(200)}`, ...(values.integer(3) === 0 ? ["3rd floor"] : [])],
    postalCode: String(10_000 + values.integer(90_000)),
    city: CITIES[place],
    country: COUNTRIES[place],
  };
}

function labels(values: Values): Record<string, string> {
  return {
    channel: values.of(CHANNELS),
    campaign: `spring-${values.integer(40)}`,
    warehouse: `WH-${values.integer(20)}`,
    "loyalty-tier": values.of(["none", "silver", "gold"]),
  };
}
