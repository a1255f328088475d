import { inNextTurn } from "../../rpc/turn.ts";

/** Bytes that are scanned or parsed before others get their turn: about 2 ms. */
const SLICE_BYTES = 128 * 1024;
/** What is nested deeper is no answer of a registry. */
const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COLON = 0x3a;

/** What stands between two commas of a container, with the large container in it, if there is one. */
interface Member {
  readonly from: number;
  readonly to: number;
  readonly large: Container | undefined;
}

interface Container {
  readonly start: number;
  readonly isArray: boolean;
  readonly parts: Member[];
  end: number;
}

/**
 * Parses JSON as `JSON.parse` does, but gives others their turn every 128 KiB: 5,000 instances are several MiB, which in
 * one go would hold up each call of the process.
 *
 * @throws SyntaxError for what is no JSON, or is nested deeper than 64
 */
export async function parseJsonInSlices(text: Buffer): Promise<unknown> {
  if (text.length <= SLICE_BYTES) return JSON.parse(text.toString("utf8"));
  const root = await new Scanner(text).scan();
  return root === undefined ? JSON.parse(text.toString("utf8")) : new Assembler(text).build(root);
}

/** Finds out where the large containers and their members are. Faults inside of members are left to `JSON.parse`. */
class Scanner {
  readonly #text: Buffer;
  readonly #open: Container[] = [];
  /** Start of the member that is being read, by depth. */
  readonly #memberStarts: number[] = [];
  /** The large container that ended last and has not become a member yet. */
  #large: Container | undefined = undefined;
  #at = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  /** The outermost container, undefined if the text is not one. */
  async scan(): Promise<Container | undefined> {
    for (let end = SLICE_BYTES; ; end += SLICE_BYTES) {
      const root = this.#scanTo(Math.min(end, this.#text.length));
      if (root !== undefined) return this.#rest(root);
      if (this.#at >= this.#text.length) {
        if (this.#open.length === 0) return undefined;
        throw new SyntaxError("the JSON text ends in the middle");
      }
      await nextTurn();
    }
  }

  /** Scans up to `end`, or to where a string that began before it ends. */
  #scanTo(end: number): Container | undefined {
    const text = this.#text;
    while (this.#at < end) {
      const byte = text[this.#at];
      if (byte === QUOTE) {
        this.#skipString();
        continue;
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#begin(byte === OPEN_BRACKET);
      else if (byte === COMMA) this.#endMember();
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        const closed = this.#close(byte === CLOSE_BRACKET);
        if (this.#open.length === 0) return closed;
      }
      this.#at++;
    }
    return undefined;
  }

  #skipString(): void {
    const text = this.#text;
    let at = this.#at + 1;
    for (;;) {
      at = text.indexOf(QUOTE, at);
      if (at < 0) throw new SyntaxError("the JSON text ends inside a string");
      let backslashes = 0;
      while (text[at - 1 - backslashes] === BACKSLASH) backslashes++;
      at++;
      if (backslashes % 2 === 0) break;
    }
    this.#at = at;
  }

  #begin(isArray: boolean): void {
    if (this.#open.length === MAX_DEPTH) throw new SyntaxError(`the JSON text is nested deeper than ${MAX_DEPTH}`);
    this.#open.push({ start: this.#at, isArray, parts: [], end: 0 });
    this.#memberStarts.push(this.#at + 1);
  }

  #endMember(): void {
    const container = this.#open.at(-1);
    if (container === undefined) throw new SyntaxError("the JSON text has a comma outside of any container");
    const depth = this.#open.length - 1;
    container.parts.push({ from: this.#memberStarts[depth], to: this.#at, large: this.#large });
    this.#large = undefined;
    this.#memberStarts[depth] = this.#at + 1;
  }

  #close(isArray: boolean): Container {
    const container = this.#open.at(-1);
    if (container === undefined || container.isArray !== isArray) {
      throw new SyntaxError(`the JSON text has an unexpected ${isArray ? "]" : "}"}`);
    }
    this.#endMember();
    this.#open.pop();
    this.#memberStarts.pop();
    container.end = this.#at + 1;
    // A small one is parsed with what surrounds it; nothing of it needs to be known.
    if (container.end - container.start > SLICE_BYTES) this.#large = container;
    else container.parts.length = 0;
    return container;
  }

  #rest(root: Container): Container | undefined {
    const text = this.#text;
    if (!isBlank(text, 0, root.start) || !isBlank(text, root.end, text.length))
      throw new SyntaxError("the JSON text has more than one value");
    return root.end - root.start > SLICE_BYTES ? root : undefined;
  }
}

/** Builds values from what the scanner found. */
class Assembler {
  readonly #text: Buffer;
  #parsedBytes = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  async build(container: Container): Promise<unknown> {
    return container.isArray ? this.#array(container) : this.#object(container);
  }

  async #array(container: Container): Promise<unknown[]> {
    const values: unknown[] = [];
    for (const group of this.#groups(container)) {
      if (group.large !== undefined) {
        this.#checkBlank(group.from, group.large.start);
        values.push(await this.build(group.large));
      } else {
        // No spread: a group may have more members than a call may have arguments.
        for (const value of (await this.#parse("[", group, "]")) as unknown[]) values.push(value);
      }
    }
    return values;
  }

  async #object(container: Container): Promise<Record<string, unknown>> {
    const result: Record<string, unknown> = {};
    for (const group of this.#groups(container)) {
      if (group.large === undefined) copyInto(result, (await this.#parse("{", group, "}")) as object);
      else setOwn(result, this.#keyOf(group.from, group.large), await this.build(group.large));
    }
    return result;
  }

  /** Members side by side, as many as fit into a slice; large ones alone. */
  *#groups({ parts }: Container): Generator<Member> {
    let group: Member | undefined;
    for (const part of parts) {
      if (group !== undefined && (part.large !== undefined || part.to - group.from > SLICE_BYTES)) {
        yield group;
        group = undefined;
      }
      if (part.large === undefined) {
        // An empty container has one blank member; a second one would mean a comma too many.
        if (parts.length > 1) this.#checkNotBlank(part);
        group = { from: group?.from ?? part.from, to: part.to, large: undefined };
      } else {
        this.#checkBlank(part.large.end, part.to);
        yield part;
      }
    }
    if (group !== undefined) yield group;
  }

  /** The key before a large value. */
  #keyOf(from: number, large: Container): string {
    const before = this.#text.toString("utf8", from, large.start).trim();
    if (before.charCodeAt(before.length - 1) !== COLON)
      throw new SyntaxError("the JSON text has a value without a key");
    const key: unknown = JSON.parse(before.slice(0, -1));
    if (typeof key !== "string") throw new SyntaxError("the JSON text has a key that is no string");
    return key;
  }

  #checkBlank(from: number, to: number): void {
    if (!isBlank(this.#text, from, to))
      throw new SyntaxError("the JSON text has two values without a comma between them");
  }

  #checkNotBlank({ from, to }: Member): void {
    if (isBlank(this.#text, from, to)) throw new SyntaxError("the JSON text has a comma without a value");
  }

  async #parse(before: string, { from, to }: Member, after: string): Promise<unknown> {
    this.#parsedBytes += to - from;
    if (this.#parsedBytes > SLICE_BYTES) {
      this.#parsedBytes = 0;
      await nextTurn();
    }
    return JSON.parse(before + this.#text.toString("utf8", from, to) + after);
  }
}

function copyInto(target: Record<string, unknown>, source: object): void {
  for (const [key, value] of Object.entries(source)) setOwn(target, key, value);
}

/** As `JSON.parse`: `__proto__` is a key like others. */
function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

/** RFC 8259 §2: blank is space, tab, line feed and carriage return, and nothing else. */
function isBlank(text: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = text[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return true;
}

function nextTurn(): Promise<void> {
  return new Promise(inNextTurn);
}
