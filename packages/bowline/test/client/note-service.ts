import type { CallOptions } from "../../src/client/call-options.ts";
import type { Codec } from "../../src/codec/codec.ts";
import type { Idempotency, Method, MethodKind, Service } from "../../src/rpc/method.ts";
import type { ServerContext } from "../../src/server/server-context.ts";

/** Messages are texts, as UTF-8. Anything else can't be encoded, and "\0" can't be decoded. */
const textCodec: Codec<string> = {
  name: "proto",
  measure: (text) => Buffer.byteLength(text),
  write: (text, target, at) => at + target.write(text, at),
  read: (source, start, end) => {
    if (source[start] === 0 && end === start + 1) throw new Error("a zero is no text");
    return source.toString("utf8", start, end);
  },
};

/** What a call that streams its requests takes. */
export type Texts = AsyncIterable<string> | Iterable<string>;
type Awaitable<T> = T | Promise<T>;

/** What a client of the note service can call. */
export interface NoteClient {
  say(text: string, options?: CallOptions): Promise<string>;
  /** The same, declared IDEMPOTENT. */
  read(text: string, options?: CallOptions): Promise<string>;
  /** Server-streaming. */
  follow(text: string, options?: CallOptions): AsyncIterable<string>;
  /** Client-streaming. */
  join(texts: Texts, options?: CallOptions): Promise<string>;
  /** Bidirectional. */
  chat(texts: Texts, options?: CallOptions): AsyncIterable<string>;
}

/** What a server of it implements. */
export interface NoteHandlers {
  say(text: string, context: ServerContext): Awaitable<string>;
  read(text: string, context: ServerContext): Awaitable<string>;
  follow(text: string, context: ServerContext): Texts | Promise<Texts>;
  join(texts: AsyncIterable<string>, context: ServerContext): Awaitable<string>;
  chat(texts: AsyncIterable<string>, context: ServerContext): Texts | Promise<Texts>;
}

function method(name: string, kind: MethodKind, idempotency: Idempotency = "unknown"): Method {
  const codec = textCodec as Codec<unknown>;
  const localName = name.toLowerCase();
  return { name, localName, kind, idempotency, path: `/note.v1.Notes/${name}`, input: codec, output: codec };
}

/** A service written by hand, one method of each kind and an idempotent one. */
export const NoteService: Service<NoteClient, NoteHandlers> = {
  typeName: "note.v1.Notes",
  methods: {
    say: method("Say", "unary"),
    read: method("Read", "unary", "idempotent"),
    follow: method("Follow", "server-stream"),
    join: method("Join", "client-stream"),
    chat: method("Chat", "bidi-stream"),
  },
};

/** Handlers that give back what they got: `follow` three times, `join` all in one. */
export const echoNotes: NoteHandlers = {
  say: (text) => text,
  read: (text) => text,
  async *follow(text) {
    for (let i = 0; i < 3; i++) yield text;
  },
  async join(texts) {
    return (await collect(texts)).join(" ");
  },
  async *chat(texts) {
    yield* texts;
  },
};

/** All that an iterable gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
