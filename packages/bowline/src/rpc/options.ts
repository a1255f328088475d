/** What an option may be. Ranges are inclusive. */
export type OptionSpec =
  | {
      readonly kind: "number";
      readonly min: number;
      readonly max: number;
      readonly isWhole?: boolean;
      readonly unit: string;
      /** What 0 stands for, where it is no number like others: `no deadline`. */
      readonly zero?: string;
    }
  | { readonly kind: "boolean" | "string" | "function" | "array" | "any" }
  | {
      readonly kind: "object";
      /** What it must be able to do. */
      readonly methods?: readonly string[];
      /** Something that can, for the message: `a VirtualClock`. */
      readonly example?: string;
    }
  | { readonly kind: "one-of"; readonly values: readonly string[] };

/** The options of something, by name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/**
 * Checks what a user gave against what there is, before anything is made of it.
 *
 * @throws TypeError for an unknown name (with the nearest one) or a wrong type, RangeError for a number out of range; both name
 * the option as `owner.name`, the value, and what is allowed
 */
export function checkOptions(owner: string, given: object | undefined, specs: OptionSpecs): void {
  if (given === undefined) return;
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new TypeError(`${owner}: give an object of options, not ${show(given)}`);
  for (const [name, value] of Object.entries(given)) {
    // Every object has inherited names such as `constructor`.
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) throw new TypeError(unknownName(`${owner}.${name}`, name, Object.keys(specs)));
    if (value !== undefined) checkOption(`${owner}.${name}`, value, spec);
  }
}

function checkOption(name: string, value: unknown, spec: OptionSpec): void {
  switch (spec.kind) {
    case "any":
      return;
    case "number":
      if (typeof value !== "number" || Number.isNaN(value))
        throw new TypeError(`${name} is ${show(value)}: give ${range(spec)}`);
      if (
        value < spec.min ||
        value > spec.max ||
        (spec.isWhole === true && !Number.isInteger(value) && value !== Number.POSITIVE_INFINITY)
      ) {
        throw new RangeError(`${name} is ${show(value)}: give ${range(spec)}`);
      }
      return;
    case "one-of":
      if (spec.values.includes(value as string)) return;
      throw new TypeError(
        `${name} is ${show(value)}: give one of ${spec.values.map((each) => `"${each}"`).join(", ")}`,
      );
    case "array":
      if (Array.isArray(value)) return;
      throw new TypeError(`${name} is ${show(value)}: give an array`);
    case "object":
      if (typeof value !== "object" || value === null) throw new TypeError(`${name} is ${show(value)}: give an object`);
      checkMethods(name, value, spec.methods ?? [], spec.example);
      return;
    default:
      if (typeof value === spec.kind && value !== null) return;
      throw new TypeError(`${name} is ${show(value)}: give a ${spec.kind}`);
  }
}

function checkMethods(name: string, value: object, methods: readonly string[], example: string = "another"): void {
  for (const method of methods) {
    if (typeof (value as Record<string, unknown>)[method] === "function") continue;
    throw new TypeError(`${name}.${method} is missing: give ${example}`);
  }
}

function range(spec: OptionSpec & { readonly kind: "number" }): string {
  const what = spec.isWhole === true ? "a whole number" : "a number";
  const zero = spec.zero === undefined ? "" : `; 0 = ${spec.zero}`;
  return `${what} of ${spec.unit} from ${spec.min} to ${spec.max}${zero}`;
}

/** The sentence for a name that does not exist, with the nearest one that does. */
export function unknownName(path: string, name: string, known: readonly string[], what: string = "an option"): string {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean ${nearest}?`;
  return `${path} is not ${what}; ${hint}`;
}

/** The known name that differs least from `name`, if one differs by a third of its letters or less. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const each of known) {
    const distance = editDistance(name.toLowerCase(), each.toLowerCase());
    if (distance < bestDistance) {
      best = each;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (value === null) return "null";
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}
