/** What a user may give where metadata is wanted: a `Metadata`, pairs, or an object with one or several values a key. */
export type MetadataInit =
  | Metadata
  | Iterable<readonly [string, string | Uint8Array]>
  | Readonly<Record<string, string | Uint8Array | readonly (string | Uint8Array)[]>>;

const KEY = /^[0-9a-z_.-]+$/;
const VALUE = /^[\x20-\x7e]*$/;
const SPACE = 0x20;

/** Names that belong to HTTP/2 and gRPC: never read into metadata, refused when a user sets them. */
const RESERVED: ReadonlySet<string> = new Set([
  "te",
  "content-type",
  "content-length",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "host",
  "user-agent",
]);

/** Shown of what a peer sent and refused when a user sets it: each side says what it is by itself. */
const RECEIVED_ONLY = "user-agent";
/** How keys are called whose values may be secrets: `authorization`, `set-cookie`, `x-api-key`, go-zero's `token`. Too many do no harm. */
const SECRET =
  /auth(?!enticate|or(?!iz))|bearer|cookie|credential|jwt|key|pass(?:w|phrase)|private|pwd|secret|session|signature|token/;
/** What `console.log` asks an object for; without loading node:util. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

type Inspect = (value: unknown, options: object) => string;

/** True for names that users may not set: pseudo headers, connection headers and everything that starts with `grpc-`. */
export function isReservedKey(key: string): boolean {
  return key.startsWith("grpc-") || key.startsWith(":") || RESERVED.has(key);
}

/** Entries that a peer sent, read where they lie; given by the transport, which has checked what a peer may send. */
export interface ReceivedEntries {
  /** The values of a key, in order; bytes are made anew by each call. */
  values(key: string): (string | Uint8Array)[];
  /** Keys and values by turns. */
  flat(): (string | Uint8Array)[];
}

/**
 * Metadata of a call: an ordered multi-map of lower-case keys.
 *
 * Keys ending in `-bin` hold bytes, all others printable ASCII (0x20–0x7e) without spaces at its ends, which are left out. Order and duplicates are kept as the peer sent them.
 * Setting a bad key or value, or a name that belongs to gRPC, throws a TypeError that names it. The `user-agent` that a peer sent may be
 * in what is made of received metadata or of their pairs, and is not sent on.
 */
export class Metadata {
  /** Keys and values by turns; of received metadata only once it was changed. */
  #entries: (string | Uint8Array)[] = [];
  /** What came, as long as it is unchanged: a reference of one octet must not become two strings and their places here. */
  #received: ReceivedEntries | null = null;
  /** Why it can't be changed any more; null while it can. */
  #sealed: string | null = null;

  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    if (typeof init !== "object" || init === null) {
      throw new TypeError(
        `metadata can't be made of ${String(init)}: give an object, pairs of key and value, or a Metadata`,
      );
    }
    if (init instanceof Metadata) {
      this.#entries = init.#flat().slice();
    } else if (Symbol.iterator in init) {
      for (const pair of init as Iterable<readonly [string, string | Uint8Array]>) {
        if (!Array.isArray(pair)) throw new TypeError(`metadata: ${typeof pair} is no pair of key and value`);
        // Received metadata are such pairs, too.
        this.#add(pair[0], pair[1], RECEIVED_ONLY);
      }
    } else {
      for (const [key, value] of Object.entries(init)) {
        if (Array.isArray(value)) for (const each of value as readonly (string | Uint8Array)[]) this.append(key, each);
        else this.append(key, value as string | Uint8Array);
      }
    }
  }

  /** Shows what a peer sent; for the transport. */
  static received(entries: ReceivedEntries): Metadata {
    const metadata = new Metadata();
    metadata.#received = entries;
    return metadata;
  }

  /** Number of entries, duplicates counted. */
  get size(): number {
    return this.#flat().length / 2;
  }

  /** The first value of an ASCII key. */
  get(key: string): string | undefined {
    const value = this.getAll(key)[0];
    return typeof value === "string" ? value : undefined;
  }

  /** The first value of a `-bin` key. */
  getBinary(key: string): Uint8Array | undefined {
    const value = this.getAll(key)[0];
    return typeof value === "string" ? undefined : value;
  }

  /** All values of a key, in order. */
  getAll(key: string): (string | Uint8Array)[] {
    const name = nameOf(key);
    if (this.#received !== null) return this.#received.values(name);
    const values: (string | Uint8Array)[] = [];
    for (let i = 0; i < this.#entries.length; i += 2) {
      if (this.#entries[i] === name) values.push(this.#entries[i + 1]);
    }
    return values;
  }

  has(key: string): boolean {
    return this.getAll(key).length > 0;
  }

  /** Adds a value behind those that the key has. */
  append(key: string, value: string | Uint8Array): this {
    return this.#add(key, value, null);
  }

  /** Replaces all values of the key by one. */
  set(key: string, value: string | Uint8Array): this {
    checkEntry(nameOf(key), value, null);
    this.delete(key);
    return this.append(key, value);
  }

  /** Removes all values of the key. */
  delete(key: string): this {
    const name = nameOf(key);
    const entries = this.#own();
    for (let i = entries.length - 2; i >= 0; i -= 2) {
      if (entries[i] === name) entries.splice(i, 2);
    }
    return this;
  }

  /** Each change from now on throws an Error that says `why`; a copy may be changed. */
  seal(why: string): this {
    this.#sealed = why;
    return this;
  }

  *[Symbol.iterator](): IterableIterator<[string, string | Uint8Array]> {
    const entries = this.#flat();
    for (let i = 0; i < entries.length; i += 2) {
      yield [entries[i] as string, entries[i + 1]];
    }
  }

  /** For `JSON.stringify` and logs: values a key, bytes as base64. */
  toJSON(): Record<string, string[]> {
    const out: Record<string, string[]> = Object.create(null);
    for (const [key, value] of this) {
      out[key] ??= [];
      out[key].push(typeof value === "string" ? value : Buffer.from(value).toString("base64"));
    }
    return out;
  }

  static {
    // No method of that name: isolated declarations know no symbols but the language's own.
    const value = function (this: Metadata, _depth: number, options: object, inspect: Inspect): string {
      return this.#shown(options, inspect);
    };
    Object.defineProperty(Metadata.prototype, INSPECT, { value });
  }

  /** For `console.log`: values a key, of bytes their number, and no value of a key that is called like a secret. */
  #shown(options: object, inspect: Inspect): string {
    const shown = new Map<string, unknown[]>();
    for (const [key, value] of this) {
      const values = shown.get(key) ?? [];
      values.push(shownOf(key, value));
      shown.set(key, values);
    }
    const entries = [...shown].map(([key, values]) => [key, values.length === 1 ? values[0] : values]);
    return `Metadata ${inspect(Object.fromEntries(entries), options)}`;
  }

  /** `allowed` may be set, though it is reserved. */
  #add(key: string, value: string | Uint8Array, allowed: string | null): this {
    const name = nameOf(key);
    checkEntry(name, value, allowed);
    this.#own().push(name, typeof value === "string" ? stripped(value) : value);
    return this;
  }

  #flat(): (string | Uint8Array)[] {
    return this.#received?.flat() ?? this.#entries;
  }

  /** The entries, to be changed. */
  #own(): (string | Uint8Array)[] {
    if (this.#sealed !== null) throw new Error(this.#sealed);
    this.#entries = this.#flat();
    this.#received = null;
    return this.#entries;
  }
}

function nameOf(key: string): string {
  if (typeof key !== "string") throw new TypeError(`a metadata key must be a string, not ${String(key)}`);
  return key.toLowerCase();
}

/** Without spaces at its ends, which HTTP/2 forbids there (RFC 9113 §8.2.1). */
function stripped(value: string): string {
  const hasSpace = value.charCodeAt(0) === SPACE || value.charCodeAt(value.length - 1) === SPACE;
  return hasSpace ? value.trim() : value;
}

/** A value for `console.log`; what is no text stands without quotation marks. */
function shownOf(key: string, value: string | Uint8Array): unknown {
  if (typeof value !== "string") return { [INSPECT]: () => `<${value.length} bytes>` };
  return SECRET.test(key) ? { [INSPECT]: () => "<hidden>" } : value;
}

function checkEntry(key: string, value: string | Uint8Array, allowed: string | null): void {
  if (!KEY.test(key)) {
    throw new TypeError(`metadata key ${JSON.stringify(key)} is not allowed: use a-z, 0-9, '_', '-' and '.'`);
  }
  if (isReservedKey(key) && key !== allowed) {
    throw new TypeError(`metadata key "${key}" belongs to gRPC and can't be set; choose another name`);
  }
  if (key.endsWith("-bin")) {
    if (!(value instanceof Uint8Array)) {
      throw new TypeError(`metadata "${key}" must be a Uint8Array, because its name ends with -bin`);
    }
  } else if (typeof value !== "string") {
    throw new TypeError(`metadata "${key}" must be a string; bytes need a key that ends with -bin`);
  } else if (!VALUE.test(value)) {
    throw new TypeError(`metadata "${key}" has a character outside printable ASCII; use a -bin key for other text`);
  }
}
