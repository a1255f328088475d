import type { CallOptions } from "../../src/client/call-options.ts";
import type { Codec } from "../../src/codec/codec.ts";
import type { Idempotency, Method, MethodKind, Service } from "../../src/rpc/method.ts";
import type { ServerContext } from "../../src/server/server-context.ts";

/** Messages are texts, as UTF-8. Anything else can't be encoded. */
const textCodec: Codec<string> = {
  name: "proto",
  measure: (text) => Buffer.byteLength(text),
  write: (text, target, at) => at + target.write(text, at),
  read: (source, start, end) => source.toString("utf8", start, end),
};

type Texts = AsyncIterable<string> | Iterable<string>;
type Awaitable<T> = T | Promise<T>;

/** What a client of the text service can call. */
export interface TextClient {
  say(text: string, options?: CallOptions): Promise<string>;
  repeat(text: string, options?: CallOptions): AsyncIterable<string>;
  join(texts: Texts, options?: CallOptions): Promise<string>;
  chat(texts: Texts, options?: CallOptions): AsyncIterable<string>;
}

/** What a server of it implements. */
export interface TextHandlers {
  say(text: string, context: ServerContext): Awaitable<string>;
  repeat(text: string, context: ServerContext): Texts | Promise<Texts>;
  join(texts: AsyncIterable<string>, context: ServerContext): Awaitable<string>;
  chat(texts: AsyncIterable<string>, context: ServerContext): Texts | Promise<Texts>;
}

function method(name: string, kind: MethodKind, idempotency: Idempotency): Method {
  const codec = textCodec as Codec<unknown>;
  const localName = name.toLowerCase();
  return { name, localName, kind, idempotency, path: `/text.v1.Text/${name}`, input: codec, output: codec };
}

/** A service written by hand, one method of each kind; no call of it is repeated after a handler may have seen it. */
export const TextService: Service<TextClient, TextHandlers> = {
  typeName: "text.v1.Text",
  methods: {
    say: method("Say", "unary", "unknown"),
    repeat: method("Repeat", "server-stream", "unknown"),
    join: method("Join", "client-stream", "unknown"),
    chat: method("Chat", "bidi-stream", "unknown"),
  },
};

/** Handlers that give back what they got. */
export const echo: TextHandlers = {
  say: (text) => text,
  async *repeat(text) {
    for (let i = 0; i < 3; i++) yield text;
  },
  async join(texts) {
    const all: string[] = [];
    for await (const text of texts) all.push(text);
    return all.join(" ");
  },
  async *chat(texts) {
    for await (const text of texts) yield text;
  },
};

/** All that an iterable gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
