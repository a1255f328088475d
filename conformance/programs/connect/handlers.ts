import { setTimeout as delay } from "node:timers/promises";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import type { ServerContext } from "bowline";
import type { MessageInit } from "bowline/codegen";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  type BidiStreamResponseSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  type ConformancePayloadSchema,
  IdempotentUnaryRequestSchema,
  type ServerStreamRequest,
  ServerStreamRequestSchema,
  type ServerStreamResponseSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "../../gen/connectrpc/conformance/v1/service_pb.ts";
import type { ConformanceServiceHandlers } from "../../gen/connectrpc/conformance/v1/service_rpc.ts";
import { addTo, requestInfoOf, toHeaders, toRpcError } from "./wire-values.ts";

type Payload = MessageInit<typeof ConformancePayloadSchema>;

/** Compressions of answers; the first that the client takes is used, gzip last because all take it. */
const COMPRESSIONS: readonly string[] = ["br", "zstd", "deflate", "gzip"];

/** What service.proto says of each method; `Unimplemented` is the one that a server must not have. */
export const handlers: Omit<ConformanceServiceHandlers, "unimplemented"> = {
  unary: async (request, context) => ({
    payload: await answerOnce(request.responseDefinition, [anyPack(UnaryRequestSchema, request)], context),
  }),
  idempotentUnary: async (request, context) => ({
    payload: await answerOnce(request.responseDefinition, [anyPack(IdempotentUnaryRequestSchema, request)], context),
  }),
  clientStream: async (requests, context) => ({ payload: await answerToAll(requests, context) }),
  serverStream,
  bidiStream,
};

function seen(context: ServerContext, requests: Any[]): ConformancePayload_RequestInfo {
  const left = context.timeRemainingMs;
  return requestInfoOf({
    requestHeaders: toHeaders(context.metadata),
    timeoutMs: left === undefined ? undefined : BigInt(Math.floor(left)),
    requests,
  });
}

function compressAnswers(context: ServerContext): void {
  for (const name of COMPRESSIONS) {
    context.compression = name;
    if (context.compression === name) return;
  }
}

async function pause(delayMs: number, context: ServerContext): Promise<void> {
  if (delayMs > 0) await delay(delayMs, undefined, { signal: context.signal });
}

async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  context: ServerContext,
): Promise<Payload> {
  compressAnswers(context);
  const requestInfo = seen(context, requests);
  if (definition === undefined) return { requestInfo };
  const { response, responseHeaders, responseTrailers, responseDelayMs } = definition;
  addTo(context.header, responseHeaders);
  addTo(context.trailer, responseTrailers);
  await pause(responseDelayMs, context);
  if (response.case === "error") throw toRpcError(response.value, requestInfo);
  return { requestInfo, data: response.value };
}

async function answerToAll(requests: AsyncIterable<ClientStreamRequest>, context: ServerContext): Promise<Payload> {
  let first: ClientStreamRequest | undefined;
  const received: Any[] = [];
  for await (const request of requests) {
    first ??= request;
    received.push(anyPack(ClientStreamRequestSchema, request));
  }
  return answerOnce(first?.responseDefinition, received, context);
}

async function* serverStream(
  request: ServerStreamRequest,
  context: ServerContext,
): AsyncGenerator<MessageInit<typeof ServerStreamResponseSchema>> {
  const answers = new StreamAnswers(request.responseDefinition, context);
  answers.received.push(anyPack(ServerStreamRequestSchema, request));
  while (answers.hasMore) yield { payload: await answers.next() };
  answers.end();
}

async function* bidiStream(
  requests: AsyncIterable<BidiStreamRequest>,
  context: ServerContext,
): AsyncGenerator<MessageInit<typeof BidiStreamResponseSchema>> {
  let answers: StreamAnswers | undefined;
  let isFullDuplex = false;
  for await (const request of requests) {
    if (answers === undefined) {
      answers = new StreamAnswers(request.responseDefinition, context);
      isFullDuplex = request.fullDuplex;
    }
    answers.received.push(anyPack(BidiStreamRequestSchema, request));
    if (!isFullDuplex) continue;
    if (!answers.hasMore) break;
    yield { payload: await answers.next() };
  }
  while (answers?.hasMore === true) yield { payload: await answers.next() };
  answers?.end();
}

/** The answers that a stream's first request asks for, one after the other, then its error if there is one. */
class StreamAnswers {
  /** Requests since the last answer. */
  received: Any[] = [];
  readonly #definition: StreamResponseDefinition | undefined;
  readonly #context: ServerContext;
  #sent = 0;

  constructor(definition: StreamResponseDefinition | undefined, context: ServerContext) {
    this.#definition = definition;
    this.#context = context;
    compressAnswers(context);
    addTo(context.header, definition?.responseHeaders ?? []);
    addTo(context.trailer, definition?.responseTrailers ?? []);
  }

  get hasMore(): boolean {
    return this.#definition !== undefined && this.#sent < this.#definition.responseData.length;
  }

  /** The next one, after the pause that was asked for. The first tells all of the request, later ones what else has come. */
  async next(): Promise<Payload> {
    const { responseData = [], responseDelayMs = 0 } = this.#definition ?? {};
    const requestInfo = this.#sent === 0 ? seen(this.#context, this.received) : this.#news();
    await pause(responseDelayMs, this.#context);
    this.received = [];
    return { data: responseData[this.#sent++], requestInfo };
  }

  /** @throws RpcError the one that was asked for; it tells of the request if no answer has */
  end(): void {
    const error = this.#definition?.error;
    if (error === undefined) return;
    throw this.#sent === 0 ? toRpcError(error, seen(this.#context, this.received)) : toRpcError(error);
  }

  #news(): ConformancePayload_RequestInfo | undefined {
    return this.received.length === 0 ? undefined : requestInfoOf({ requests: this.received });
  }
}
