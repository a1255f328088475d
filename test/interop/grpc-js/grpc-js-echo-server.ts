import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type ChannelOptions,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { MessageInit } from "bowline/codegen";
import type {
  EchoRequest,
  EchoResponseSchema,
  FailRequest,
  HeadersRequest,
  HeaderValues,
  SlowRequest,
  StreamRequest,
} from "../../gen/peer/v1/echo_pb.ts";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { grpcJsMethod } from "./grpc-js-codec.ts";

type Answer = MessageInit<typeof EchoResponseSchema>;

/** What a test wants to know of the server. */
export interface GrpcJsEchoServer {
  readonly address: string;
  /** Resolves when the next Slow call has been cancelled, as the handler sees it. */
  nextCancellation(): Promise<void>;
  close(): void;
}

/** peer.v1.Echo as a user of grpc-js serves it, on a free port of loopback. */
export async function startGrpcJsEchoServer(options: ChannelOptions = {}): Promise<GrpcJsEchoServer> {
  const server = new Server(options);
  let cancelled: () => void = () => {};
  server.addService(
    Object.fromEntries(Object.entries(Echo.methods).map(([name, method]) => [name, grpcJsMethod(method)])),
    handlers(() => cancelled()),
  );
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
  return {
    address: `127.0.0.1:${port}`,
    nextCancellation: () =>
      new Promise((resolve) => {
        cancelled = resolve;
      }),
    close: () => server.forceShutdown(),
  };
}

function handlers(cancelled: () => void): UntypedServiceImplementation {
  return {
    unary: (call: ServerUnaryCall<EchoRequest, Answer>, done: sendUnaryData<Answer>) =>
      done(null, answer(call, call.request, 0)),
    serverStream: (call: ServerWritableStream<StreamRequest, Answer>) => void countUp(call),
    clientStream: (call: ServerReadableStream<EchoRequest, Answer>, done: sendUnaryData<Answer>) => {
      const payloads: Uint8Array[] = [];
      call.on("data", (request: EchoRequest) => payloads.push(request.payload));
      call.on("end", () => done(null, { payload: Buffer.concat(payloads), sequence: payloads.length }));
    },
    bidiStream: (call: ServerDuplexStream<EchoRequest, Answer>) => {
      let sequence = 0;
      call.on("data", (request: EchoRequest) => call.write(answer(call, request, sequence++)));
      call.on("end", () => call.end());
    },
    fail: ({ request }: ServerUnaryCall<FailRequest, Answer>, done: sendUnaryData<Answer>) =>
      request.code === 0 ? done(null, {}) : done(errorOf(request)),
    slow: async (call: ServerUnaryCall<SlowRequest, Answer>, done: sendUnaryData<Answer>) => {
      call.on("cancelled", cancelled);
      await delay(call.request.sleepMs);
      done(null, {});
    },
    headers: (call: ServerUnaryCall<HeadersRequest, Answer>, done: sendUnaryData<Answer>) => {
      call.sendMetadata(metadataOf(call.request.responseHeaders));
      done(null, { call: describeCall(call) }, metadataOf(call.request.responseTrailers));
    },
  };
}

type AnyCall = Pick<ServerUnaryCall<unknown, unknown>, "metadata" | "getDeadline" | "getPeer">;

function answer(call: AnyCall, request: EchoRequest, sequence: number): Answer {
  return {
    payload: request.payload,
    sequence,
    serverId: "grpc-js",
    call: request.describe ? describeCall(call) : undefined,
  };
}

async function countUp(call: ServerWritableStream<StreamRequest, Answer>): Promise<void> {
  const { count, payloadBytes, intervalMs, endWith } = call.request;
  for (let sequence = 0; sequence < count && !call.cancelled; sequence++) {
    if (sequence > 0 && intervalMs > 0) await delay(intervalMs);
    const isFull = !call.write({ payload: new Uint8Array(payloadBytes).fill(sequence), sequence });
    if (isFull) await new Promise((resolve) => call.once("drain", resolve));
  }
  if (endWith === undefined || endWith.code === 0) call.end();
  else call.emit("error", errorOf(endWith));
}

function errorOf({ code, message }: FailRequest): { code: number; details: string } {
  return { code, details: message };
}

function metadataOf(values: Readonly<Record<string, HeaderValues>>): Metadata {
  const metadata = new Metadata();
  for (const [key, held] of Object.entries(values)) {
    for (const value of held.values) {
      metadata.add(key, key.endsWith("-bin") ? Buffer.from(value) : Buffer.from(value).toString("latin1"));
    }
  }
  return metadata;
}

function describeCall(call: AnyCall): NonNullable<Answer["call"]> {
  const metadata: Record<string, { values: Uint8Array[] }> = {};
  for (const key of Object.keys(call.metadata.getMap())) {
    metadata[key] = { values: call.metadata.get(key).map((value) => Buffer.from(value as string)) };
  }
  const deadline = Number(call.getDeadline());
  const remainingDeadlineMs = Number.isFinite(deadline) ? BigInt(Math.round(deadline - Date.now())) : undefined;
  return { peerAddress: call.getPeer(), metadata, remainingDeadlineMs };
}
