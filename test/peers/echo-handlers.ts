import { setTimeout as delay } from "node:timers/promises";
import { type Code, type ErrorDetail, RpcError, type ServerContext } from "bowline";
import type { MessageInit } from "bowline/codegen";
import { badRequest, retryInfo } from "bowline/grpc/error-details";
import type {
  EchoRequest,
  EchoResponseSchema,
  FailRequest,
  FieldViolation,
  HeaderValues,
  StreamRequest,
} from "../gen/peer/v1/echo_pb.ts";
import type { EchoHandlers } from "../gen/peer/v1/echo_rpc.ts";

type Answer = MessageInit<typeof EchoResponseSchema>;

/** peer.v1.Echo as test/proto/peer/v1/echo.proto describes it. `serverId` is in every answer. */
export function echoHandlers(serverId: string): EchoHandlers {
  const answer = (request: EchoRequest, sequence: number, context: ServerContext): Answer => ({
    payload: request.payload,
    serverId,
    sequence,
    call: request.describe ? describeCall(context) : undefined,
  });
  return {
    unary: (request, context) => answer(request, 0, context),
    serverStream: (request, context) => countUp(request, serverId, context),
    clientStream: (requests, context) => gather(requests, serverId, context),
    async *bidiStream(requests, context) {
      let sequence = 0;
      for await (const request of requests) yield answer(request, sequence++, context);
    },
    fail: (request) => {
      throwAsked(request);
      return { serverId };
    },
    slow: async (request, context) => {
      const call = describeCall(context);
      await delay(request.sleepMs, undefined, { signal: context.signal });
      return { serverId, call };
    },
    headers: (request, context) => {
      for (const [key, held] of Object.entries(request.responseHeaders)) appendAll(context.header, key, held);
      for (const [key, held] of Object.entries(request.responseTrailers)) appendAll(context.trailer, key, held);
      return { serverId, call: describeCall(context) };
    },
  };
}

async function* countUp(request: StreamRequest, serverId: string, context: ServerContext): AsyncIterable<Answer> {
  for (let sequence = 0; sequence < request.count; sequence++) {
    if (sequence > 0 && request.intervalMs > 0) await delay(request.intervalMs, undefined, { signal: context.signal });
    yield { payload: new Uint8Array(request.payloadBytes).fill(sequence), serverId, sequence };
  }
  if (request.endWith !== undefined) throwAsked(request.endWith);
}

async function gather(requests: AsyncIterable<EchoRequest>, serverId: string, context: ServerContext): Promise<Answer> {
  const payloads: Uint8Array[] = [];
  let isDescribed = false;
  for await (const request of requests) {
    payloads.push(request.payload);
    isDescribed ||= request.describe;
  }
  const call = isDescribed ? describeCall(context) : undefined;
  return { payload: Buffer.concat(payloads), serverId, sequence: payloads.length, call };
}

function throwAsked(request: FailRequest): void {
  if (request.code === 0) return;
  const details: ErrorDetail[] = [];
  if (request.violations.length > 0) details.push(badRequest(request.violations.map(violationOf)));
  if (request.retryDelayMs !== undefined) details.push(retryInfo({ delayMs: Number(request.retryDelayMs) }));
  throw new RpcError(request.code as Code, request.message, { details });
}

function violationOf({ field, description }: FieldViolation): { field: string; description: string } {
  return { field, description };
}

function describeCall(context: ServerContext): NonNullable<Answer["call"]> {
  const metadata: Record<string, { values: Uint8Array[] }> = {};
  for (const [key, value] of context.metadata) {
    metadata[key] ??= { values: [] };
    metadata[key].values.push(Buffer.from(value as Uint8Array));
  }
  const { timeRemainingMs } = context;
  return {
    peerAddress: context.peer.remoteAddress,
    metadata,
    remainingDeadlineMs: timeRemainingMs === undefined ? undefined : BigInt(Math.floor(timeRemainingMs)),
  };
}

function appendAll(target: ServerContext["header"], key: string, held: HeaderValues): void {
  for (const value of held.values)
    target.append(key, key.endsWith("-bin") ? value : Buffer.from(value).toString("latin1"));
}
