import { bytesCodec, type CallOptions, type Method, type MethodKind, type ServerContext, type Service } from "bowline";
import { BIDI_STREAM_PATH, ECHO_SERVICE, SERVER_STREAM_PATH, SLOW_PATH, UNARY_PATH } from "../echo.ts";

/** What the load calls of peer.v1.Echo. */
export interface EchoClient {
  unary(message: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  serverStream(message: Uint8Array, options?: CallOptions): AsyncIterable<Uint8Array>;
  bidiStream(messages: AsyncIterable<Uint8Array>, options?: CallOptions): AsyncIterable<Uint8Array>;
  slow(message: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
}

/** What a server of it answers. */
export interface EchoHandlers {
  unary(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
  serverStream(message: Uint8Array): AsyncIterable<Uint8Array>;
  bidiStream(messages: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  slow(message: Uint8Array, context: ServerContext): Promise<Uint8Array>;
}

function method(localName: string, kind: MethodKind, path: string): Method<Uint8Array, Uint8Array> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return { name, localName, kind, path, idempotency: "unknown", input: bytesCodec, output: bytesCodec };
}

/** peer.v1.Echo without its messages: bytes both ways, as the other peers have them. */
export const EchoService: Service<EchoClient, EchoHandlers> = {
  typeName: ECHO_SERVICE,
  methods: {
    unary: method("unary", "unary", UNARY_PATH),
    serverStream: method("serverStream", "server-stream", SERVER_STREAM_PATH),
    bidiStream: method("bidiStream", "bidi-stream", BIDI_STREAM_PATH),
    slow: method("slow", "unary", SLOW_PATH),
  },
};
