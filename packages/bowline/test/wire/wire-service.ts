import type { CallOptions } from "../../src/client/call-options.ts";
import { bytesCodec } from "../../src/codec/codec.ts";
import type { Idempotency, Method, MethodKind, Service } from "../../src/rpc/method.ts";
import type { ServerContext } from "../../src/server/server-context.ts";

type Messages = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
type Later<T> = Promise<T> | T;

/** What can be called of {@link WIRE}; messages are bytes. */
export interface WireClient {
  unary(request: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** The same, declared IDEMPOTENT. */
  read(request: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  serverStream(request: Uint8Array, options?: CallOptions): AsyncIterable<Uint8Array>;
  clientStream(requests: Messages, options?: CallOptions): Promise<Uint8Array>;
  bidiStream(requests: Messages, options?: CallOptions): AsyncIterable<Uint8Array>;
}

/** What serves {@link WIRE}. */
export interface WireHandlers {
  unary(request: Uint8Array, context: ServerContext): Later<Uint8Array>;
  read(request: Uint8Array, context: ServerContext): Later<Uint8Array>;
  serverStream(request: Uint8Array, context: ServerContext): AsyncIterable<Uint8Array>;
  clientStream(requests: AsyncIterable<Uint8Array>, context: ServerContext): Promise<Uint8Array>;
  bidiStream(requests: AsyncIterable<Uint8Array>, context: ServerContext): AsyncIterable<Uint8Array>;
}

/** Gives Buffers: tests show and compare them as texts. */
const codec = {
  ...bytesCodec,
  read: (source, start, end) => Buffer.from(source.subarray(start, end)),
} satisfies typeof bytesCodec as Method["input"];

function method(name: string, kind: MethodKind, idempotency: Idempotency = "unknown"): Method {
  const localName = name[0].toLowerCase() + name.slice(1);
  return { name, localName, kind, path: `/wire.v1.Wire/${name}`, idempotency, input: codec, output: codec };
}

/** A service of all kinds of methods whose messages are bytes. */
export const WIRE: Service<WireClient, WireHandlers> = {
  typeName: "wire.v1.Wire",
  methods: {
    unary: method("Unary", "unary"),
    read: method("Read", "unary", "idempotent"),
    serverStream: method("ServerStream", "server-stream"),
    clientStream: method("ClientStream", "client-stream"),
    bidiStream: method("BidiStream", "bidi-stream"),
  },
};

/** Handlers that give back what they got: `serverStream` three times, `clientStream` all in one message. */
export const echo: WireHandlers = {
  unary: (request) => request,
  read: (request) => request,
  async *serverStream(request) {
    for (let i = 0; i < 3; i++) yield request;
  },
  async clientStream(requests) {
    const all: Uint8Array[] = [];
    for await (const request of requests) all.push(request);
    return Buffer.concat(all);
  },
  async *bidiStream(requests) {
    yield* requests;
  },
};
