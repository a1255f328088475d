import { nearestName } from "../rpc/options.ts";
import { readGoDuration } from "./duration.ts";

/** What a number may be; both ends belong to it. */
export interface Range {
  readonly min: number;
  readonly max: number;
  /** Default true. */
  readonly isWhole?: boolean;
  /** `ms`, for messages. Default none. */
  readonly unit?: string;
}

/** One field as it stands in the file. */
interface Field {
  readonly name: string;
  readonly value: unknown;
}

/** Where a message begins. */
const OWNER = "go-zero configuration";
const MAX_SHOWN = 60;

/**
 * A part of a go-zero configuration. Names count without their case, as for go-zero; a field that is null is not there.
 *
 * Each reader gives the field's value, or undefined without one, and throws TypeError that names the field's path, its value and what is
 * allowed. What was never asked for is unknown.
 */
export class Section {
  /** Empty at the top. */
  readonly path: string;
  readonly #parent: Section | null;
  readonly #fields: Map<string, Field>;
  readonly #notes: Set<string>;
  readonly #known: Set<string> = new Set();

  /** `notes` gathers sentences of all sections of a configuration. */
  constructor(path: string, fields: unknown, notes: Set<string>, parent: Section | null = null) {
    this.path = path;
    this.#parent = parent;
    this.#notes = notes;
    this.#fields = fieldsOf(path, fields);
  }

  /** The path of a field. */
  at(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  /** Of all fields, as they stand in the file. */
  get names(): readonly string[] {
    return [...this.#fields.values()].map(({ name }) => name);
  }

  has(name: string): boolean {
    return this.#take(name) !== undefined;
  }

  text(name: string, allowed?: readonly string[]): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.fault(name, value, "give a text");
    if (allowed === undefined || allowed.includes(value)) return value;
    throw this.fault(name, value, `give one of ${allowed.join(", ")}`);
  }

  /** A text that no message repeats. */
  secret(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === "string") return value;
    throw new TypeError(`${OWNER}: ${this.at(name)} is no text: write it in quotation marks`);
  }

  flag(name: string): boolean | undefined {
    const value = this.#take(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.fault(name, value, "give true or false");
  }

  number(name: string, range: Range): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    const { min, max, isWhole = true, unit } = range;
    if (typeof value === "number" && value >= min && value <= max && !(isWhole && !Number.isInteger(value)))
      return value;
    const what = `${isWhole ? "whole number" : "number"}${unit === undefined ? "" : ` of ${unit}`}`;
    throw this.fault(name, value, `give a ${what} from ${min} to ${max}`);
  }

  /** In ms. */
  duration(name: string): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    const read = typeof value === "string" ? readGoDuration(value) : undefined;
    if (read !== undefined && read >= 0) return read;
    throw this.fault(name, value, "give a duration with its unit, such as 500ms, 2s or 1m30s");
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.fault(name, value, "give a list of texts");
    value.forEach((each: unknown, index) => {
      if (typeof each !== "string") throw this.fault(`${name}[${index}]`, each, "give a text");
    });
    return value;
  }

  section(name: string): Section | undefined {
    const value = this.#take(name);
    return value === undefined ? undefined : new Section(this.at(name), value, this.#notes, this);
  }

  sections(name: string): readonly Section[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.fault(name, value, "give a list");
    return value.map((each, index) => new Section(this.at(`${name}[${index}]`), each, this.#notes, this));
  }

  /** A section whose missing fields are those of the section of that name further out, as go-zero's tag `inherit` has it. */
  inherited(name: string): Section | undefined {
    const value = this.#inherit(name);
    return value === undefined ? undefined : new Section(this.at(name), value, this.#notes, this);
  }

  /** A sentence for the user about a field. */
  note(name: string, sentence: string): void {
    this.#notes.add(`${this.at(name)}: ${sentence}`);
  }

  /** Notes all fields that nobody asked for; `owner` has the known ones: `RpcServerConf`. */
  noteUnknown(owner: string, isExpected: (value: unknown) => boolean = () => false): void {
    for (const [key, { name, value }] of this.#fields) {
      if (value === null || value === undefined || this.#isKnown(key) || isExpected(value)) continue;
      const nearest = nearestName(name, [...this.#known]);
      const hint = nearest === undefined ? "it is left to the program" : `did you mean ${nearest}?`;
      this.note(name, `is no field of ${owner}; ${hint}`);
    }
  }

  /** An error about a field. */
  fault(name: string, value: unknown, advice: string): TypeError {
    const shown = value === undefined ? "missing" : show(value);
    return new TypeError(`${OWNER}: ${this.at(name)} is ${shown}: ${advice}`);
  }

  /** Runs what checks a field by itself, and names the field in its error. */
  checked<T>(name: string, check: () => T): T {
    try {
      return check();
    } catch (error) {
      throw new TypeError(`${OWNER}: ${this.at(name)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #take(name: string): unknown {
    this.#known.add(name);
    return this.#fields.get(name.toLowerCase())?.value ?? undefined;
  }

  #isKnown(key: string): boolean {
    for (const name of this.#known) if (name.toLowerCase() === key) return true;
    return false;
  }

  #inherit(name: string): unknown {
    const own = this.#take(name);
    const outer = this.#parent === null ? undefined : this.#parent.#inherit(name);
    if (own === undefined || !isRecord(own) || !isRecord(outer)) return own ?? outer;
    const names = new Set(Object.keys(own).map((each) => each.toLowerCase()));
    const rest = Object.entries(outer).filter(([each]) => !names.has(each.toLowerCase()));
    return { ...own, ...Object.fromEntries(rest) };
  }
}

function fieldsOf(path: string, value: unknown): Map<string, Field> {
  const where = path === "" ? OWNER : `${OWNER}: ${path}`;
  if (!isRecord(value)) throw new TypeError(`${where} is ${show(value)}: give fields by name`);
  const fields = new Map<string, Field>();
  for (const [name, each] of Object.entries(value)) {
    const key = name.toLowerCase();
    const other = fields.get(key);
    if (other !== undefined) throw new TypeError(`${where}: ${other.name} and ${name} are one field; keep one`);
    fields.set(key, { name, value: each });
  }
  return fields;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MAX_SHOWN));
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "a section";
  return value === undefined ? "missing" : String(value);
}
