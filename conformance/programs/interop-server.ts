// grpc.testing.TestService as gRPC's interop tests want it, on a free port or the one given.
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Code, createServer, RpcError, type ServerContext, type Service } from "bowline";
import type { MessageInit } from "bowline/codegen";
import { collect } from "../../test/peers/collect.ts";
import { announce } from "../../test/peers/peer-lines.ts";
import {
  type EchoStatus,
  PayloadType,
  type SimpleRequest,
  type SimpleResponseSchema,
  type StreamingInputCallRequest,
  type StreamingOutputCallRequest,
  type StreamingOutputCallResponseSchema,
} from "../gen/grpc/testing/messages_pb.ts";
import { TestService, type TestServiceHandlers } from "../gen/grpc/testing/test_rpc.ts";

/** Keys that the client wants back, one in the header and one in the trailer. */
const ECHO_INITIAL = "x-grpc-test-echo-initial";
const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";

/** How answers are compressed when the client wants them so. */
const COMPRESSION = "gzip";

type Output = MessageInit<typeof StreamingOutputCallResponseSchema>;

function payload(type: PayloadType, size: number): { type: PayloadType; body: Uint8Array } {
  if (size < 0) throw new RpcError(Code.INVALID_ARGUMENT, `a payload of ${size} bytes was asked for`);
  if (type !== PayloadType.COMPRESSABLE) throw new RpcError(Code.INVALID_ARGUMENT, `no payload type ${type}`);
  return { type, body: new Uint8Array(size) };
}

function echoMetadata(context: ServerContext): void {
  const initial = context.metadata.get(ECHO_INITIAL);
  if (initial !== undefined) context.header.set(ECHO_INITIAL, initial);
  const trailing = context.metadata.getBinary(ECHO_TRAILING);
  if (trailing !== undefined) context.trailer.set(ECHO_TRAILING, trailing);
}

function throwAsked(status: EchoStatus | undefined): void {
  if (status !== undefined && status.code !== Code.OK) throw new RpcError(status.code as Code, status.message);
}

/** Refuses a request that came otherwise than it says of itself. */
function checkCompression(expected: { value: boolean } | undefined, context: ServerContext): void {
  if (expected === undefined || expected.value === context.isCompressed) return;
  const [wanted, seen] = expected.value ? ["compressed", "not"] : ["plain", "compressed"];
  throw new RpcError(Code.INVALID_ARGUMENT, `a ${wanted} message was announced, but it was ${seen}`);
}

/** From now on each answer is compressed or not, as `isWanted` says when it is sent. */
function compressEach(context: ServerContext): { isWanted: boolean } {
  const decision = { isWanted: false };
  context.compression = COMPRESSION;
  context.compressIf = () => decision.isWanted;
  return decision;
}

async function* outputs(
  { responseType, responseParameters }: StreamingOutputCallRequest,
  context: ServerContext,
  compression: { isWanted: boolean },
): AsyncIterable<Output> {
  for (const { size, intervalUs, compressed } of responseParameters) {
    if (intervalUs > 0) await delay(intervalUs / 1000, undefined, { signal: context.signal });
    compression.isWanted = compressed?.value === true;
    yield { payload: payload(responseType, size) };
  }
}

async function* fullDuplex(
  requests: AsyncIterable<StreamingOutputCallRequest>,
  context: ServerContext,
): AsyncIterable<Output> {
  echoMetadata(context);
  const compression = compressEach(context);
  for await (const request of requests) {
    throwAsked(request.responseStatus);
    yield* outputs(request, context, compression);
  }
}

async function* halfDuplex(
  requests: AsyncIterable<StreamingOutputCallRequest>,
  context: ServerContext,
): AsyncIterable<Output> {
  const compression = compressEach(context);
  for (const request of await collect(requests)) yield* outputs(request, context, compression);
}

async function sumOf(requests: AsyncIterable<StreamingInputCallRequest>, context: ServerContext): Promise<number> {
  let bytes = 0;
  for await (const request of requests) {
    checkCompression(request.expectCompressed, context);
    bytes += request.payload?.body.length ?? 0;
  }
  return bytes;
}

function answer(request: SimpleRequest, context: ServerContext): MessageInit<typeof SimpleResponseSchema> {
  checkCompression(request.expectCompressed, context);
  echoMetadata(context);
  throwAsked(request.responseStatus);
  if (request.responseCompressed?.value === true) context.compression = COMPRESSION;
  const serverId = request.fillServerId ? `${hostname()}-${process.pid}` : "";
  return { payload: payload(request.responseType, request.responseSize), serverId, hostname: hostname() };
}

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, cert: { type: "string" }, key: { type: "string" } },
});
const server = createServer({
  name: "interop",
  listen: `127.0.0.1:${values.port}`,
  handleSignals: false,
  tls: values.cert === undefined ? undefined : { certificate: values.cert, key: values.key },
});
// The method that a server must not have is taken out of the contract: Bowline wants a handler for each.
const { unimplementedCall: _, ...methods } = TestService.methods;
const served: Service<unknown, Omit<TestServiceHandlers, "unimplementedCall">> = { ...TestService, methods };
server.add(served, {
  emptyCall: () => ({}),
  unaryCall: answer,
  cacheableUnaryCall: (request, context) => {
    context.header.set("cache-control", "max-age=60, public");
    return answer(request, context);
  },
  streamingOutputCall: (request, context) => outputs(request, context, compressEach(context)),
  streamingInputCall: async (requests, context) => ({ aggregatedPayloadSize: await sumOf(requests, context) }),
  fullDuplexCall: fullDuplex,
  halfDuplexCall: halfDuplex,
});
await server.start();
announce({ addr: server.address });
