import { deepStrictEqual } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";
import type { DescMessage, Registry } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import type { CompiledType } from "../harness/compiled-schemas.ts";

/** What a property is tried on. */
export interface Trial {
  readonly type: CompiledType;
  readonly chance: Chance;
  /** All types and extensions of the run. */
  readonly registry: Registry;
}

/** Something that holds for every message type and every choice. It throws a {@link Fault} when it does not. */
export type Property = (trial: Trial) => void;

/** A property that did not hold, with what shows it. */
export class Fault extends Error {
  override readonly name: string = "Fault";
}

/** Throws a Fault that shows the message type and the evidence. */
export function fault(desc: DescMessage, text: string, evidence: Readonly<Record<string, unknown>>): never {
  const shown = Object.entries(evidence).map(([name, value]) => `  ${name}: ${show(value)}`);
  throw new Fault([`${desc.typeName}: ${text}`, ...shown, ...fieldLines(desc)].join("\n"));
}

/** Bytes in hex, other values as Node shows them. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return value.length > 2000 ? `${value.length} bytes` : hex(value);
  const text =
    value instanceof Error ? String(value) : inspect(value, { depth: 12, maxStringLength: 200, breakLength: 160 });
  return text.length > 4000 ? `${text.slice(0, 4000)}…` : text.replaceAll("\n", "\n    ");
}

/** The difference as node:assert tells it, or undefined when the values are strictly equal, prototypes included. */
export function difference(actual: unknown, expected: unknown): string | undefined {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    return String(error).slice(0, 1500);
  }
  return prototypeDifference(actual, expected, "");
}

/** node:assert takes all objects of the constructor Object for the same; the defaults of a message stand in its prototype. */
function prototypeDifference(actual: unknown, expected: unknown, path: string): string | undefined {
  if (typeof actual !== "object" || actual === null || typeof expected !== "object" || expected === null)
    return undefined;
  if (ArrayBuffer.isView(actual)) return undefined;
  const [one, other] = [Object.getPrototypeOf(actual), Object.getPrototypeOf(expected)];
  if (one !== other && !isSamePrototype(one, other)) return `the prototype${path && ` of ${path}`} is another`;
  for (const name of Object.keys(expected)) {
    const [inner, wanted] = [actual, expected].map((each) => (each as Record<string, unknown>)[name]);
    const found = prototypeDifference(inner, wanted, `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Two prototypes with the same defaults and nothing else behind them. */
function isSamePrototype(one: object | null, other: object | null): boolean {
  if (one === null || other === null || one === Object.prototype || other === Object.prototype) return false;
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
  return isDeepStrictEqual(Object.entries(one), Object.entries(other));
}

function hex(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${Buffer.from(bytes).toString("hex")}`;
}

function fieldLines(desc: DescMessage): string[] {
  const lines = desc.fields.slice(0, 30).map((field) => {
    const { fieldKind, number, presence } = field;
    const type = field.message?.typeName ?? field.enum?.typeName ?? `scalar ${field.scalar}`;
    const flags = [
      field.fieldKind === "list" && field.packed ? "packed" : "",
      "delimitedEncoding" in field && field.delimitedEncoding ? "delimited" : "",
      field.oneof === undefined ? "" : `oneof ${field.oneof.localName}`,
      field.enum === undefined || field.enum.open ? "" : "closed",
    ].filter((flag) => flag !== "");
    const key = field.fieldKind === "map" ? ` key ${field.mapKey}` : "";
    return `    ${field.localName} = ${number}: ${fieldKind} ${type}${key} presence ${presence} ${flags.join(" ")}`;
  });
  return [`  fields (${desc.file.proto.syntax || "proto2"} ${desc.file.edition}):`, ...lines];
}
