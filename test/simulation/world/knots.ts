import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import type { CallOptions, Codec, Idempotency, Method, MethodKind, ServerContext, Service } from "bowline";
import { AnyCodec } from "bowline/google/protobuf/any";
import { seededRandom } from "bowline/testing";

/** What clients of the simulated service call. */
export interface KnotClient {
  tie(request: Any, options?: CallOptions): Promise<Any>;
  /** The same, declared IDEMPOTENT. */
  look(request: Any, options?: CallOptions): Promise<Any>;
  list(request: Any, options?: CallOptions): AsyncIterable<Any>;
  gather(requests: AsyncIterable<Any>, options?: CallOptions): Promise<Any>;
  chat(requests: AsyncIterable<Any>, options?: CallOptions): AsyncIterable<Any>;
}

/** What its servers implement. */
export interface KnotHandlers {
  tie(request: Any, context: ServerContext): Promise<Any>;
  look(request: Any, context: ServerContext): Promise<Any>;
  list(request: Any, context: ServerContext): AsyncIterable<Any>;
  gather(requests: AsyncIterable<Any>, context: ServerContext): Promise<Any>;
  chat(requests: AsyncIterable<Any>, context: ServerContext): AsyncIterable<Any>;
}

/** Its methods, one of each kind and an idempotent one. */
export type KnotMethod = keyof KnotHandlers;

function method(name: string, kind: MethodKind, idempotency: Idempotency = "unknown"): Method {
  const codec = AnyCodec as Codec<unknown>;
  const localName = name.toLowerCase();
  return { name, localName, kind, idempotency, path: `/sim.v1.Knots/${name}`, input: codec, output: codec };
}

/** The service of a simulation: its messages go through the generated codec of google.protobuf.Any. */
export const Knots: Service<KnotClient, KnotHandlers> = {
  typeName: "sim.v1.Knots",
  methods: {
    tie: method("Tie", "unary"),
    look: method("Look", "unary", "idempotent"),
    list: method("List", "server-stream"),
    gather: method("Gather", "client-stream"),
    chat: method("Chat", "bidi-stream"),
  },
};

/** Largest message, in octets. */
export const MAX_MESSAGE_BYTES = 100_000;

const PATTERN: Buffer = makePattern();

/** The message of this place in this call; no two are alike, and `knotFault` finds any change. */
export function knot(call: number, direction: "request" | "answer", index: number, size: number): Any {
  const from = (call * 7919 + index * 104_729 + (direction === "answer" ? 51_151 : 0)) % MAX_MESSAGE_BYTES;
  const typeUrl = `${call}/${direction}/${index}/${size}`;
  return create(AnySchema, { typeUrl, value: PATTERN.subarray(from, from + size) });
}

/** What is wrong with a message that should be the one of this place; empty when it is the same to the octet. */
export function knotFault(message: Any, call: number, direction: "request" | "answer", index: number): string {
  const size = Number(message.typeUrl.split("/")[3]);
  const expected = knot(call, direction, index, size);
  if (message.typeUrl !== expected.typeUrl) return `got "${message.typeUrl}" for "${expected.typeUrl}"`;
  return Buffer.compare(message.value, expected.value) === 0
    ? ""
    : `"${message.typeUrl}" has other octets than were sent`;
}

function makePattern(): Buffer {
  const random = seededRandom(6);
  const pattern = Buffer.alloc(2 * MAX_MESSAGE_BYTES);
  // Runs of a few equal octets, so that compression has something to do.
  for (let at = 0; at < pattern.length; ) {
    const end = Math.min(pattern.length, at + 1 + Math.floor(random() * 8));
    pattern.fill(random() * 256, at, end);
    at = end;
  }
  return pattern;
}
