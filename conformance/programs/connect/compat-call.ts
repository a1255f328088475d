import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Metadata, RpcError } from "bowline";
import type {
  ClientCompatRequest,
  ClientResponseResultSchema,
} from "../../gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { StreamType } from "../../gen/connectrpc/conformance/v1/config_pb.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema,
} from "../../gen/connectrpc/conformance/v1/service_pb.ts";
import type { ConformanceServiceClient } from "../../gen/connectrpc/conformance/v1/service_rpc.ts";
import { fromRpcError, toHeaders, toMetadata } from "./wire-values.ts";

/** What became of a call, as the runner wants to know it. */
export type CallResult = MessageInitShape<typeof ClientResponseResultSchema>;

/**
 * Makes the call that a ClientCompatRequest describes, and cancels it when that says so.
 *
 * Rejects when the request can't be understood; an error of the call is part of the result.
 */
export function makeCall(request: ClientCompatRequest, client: ConformanceServiceClient): Promise<CallResult> {
  return new CompatCall(request, client).result();
}

class CompatCall {
  readonly #request: ClientCompatRequest;
  readonly #client: ConformanceServiceClient;
  readonly #abort: AbortController = new AbortController();
  readonly #payloads: ConformancePayload[] = [];
  readonly #options: CallOptions;
  #taken = 0;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #answered: () => void = () => {};

  constructor(request: ClientCompatRequest, client: ConformanceServiceClient) {
    this.#request = request;
    this.#client = client;
    this.#options = {
      metadata: toMetadata(request.requestHeaders),
      timeoutMs: request.timeoutMs,
      signal: this.#abort.signal,
      onHeader: (header) => {
        this.#header = header;
      },
      onTrailer: (trailer) => {
        this.#trailer = trailer;
      },
    };
  }

  async result(): Promise<CallResult> {
    let error: RpcError | undefined;
    try {
      await this.#run();
    } catch (thrown) {
      if (!RpcError.is(thrown)) throw thrown;
      error = thrown;
    }
    return {
      responseHeaders: toHeaders(this.#header),
      responseTrailers: toHeaders(this.#trailer),
      payloads: this.#payloads,
      error: error === undefined ? undefined : fromRpcError(error),
      numUnsentRequests: this.#request.requestMessages.length - this.#taken,
    };
  }

  async #run(): Promise<void> {
    const client = this.#client;
    const options = this.#options;
    switch (this.#request.method) {
      case "Unary":
        return this.#take((await client.unary(this.#only(UnaryRequestSchema), options)).payload);
      case "IdempotentUnary":
        return this.#take((await client.idempotentUnary(this.#only(IdempotentUnaryRequestSchema), options)).payload);
      case "Unimplemented":
        await client.unimplemented(this.#only(UnimplementedRequestSchema), options);
        return this.#take(undefined);
      case "ClientStream":
        return this.#take((await client.clientStream(this.#requests(ClientStreamRequestSchema), options)).payload);
      case "ServerStream":
        return this.#takeAll(client.serverStream(this.#only(ServerStreamRequestSchema), options));
      case "BidiStream":
        return this.#takeAll(client.bidiStream(this.#requests(BidiStreamRequestSchema), options));
      default:
        throw new Error(`there is no method ${this.#request.method}`);
    }
  }

  // --- requests ---

  /** The one request of a call that does not stream them. */
  #only<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> {
    const { requestMessages } = this.#request;
    if (requestMessages.length !== 1) throw new Error(`${requestMessages.length} requests for a call that takes one`);
    this.#taken = 1;
    this.#sendingEnds();
    return this.#unpack(schema, 0);
  }

  async *#requests<Desc extends DescMessage>(schema: Desc): AsyncGenerator<MessageShape<Desc>> {
    const { requestMessages, requestDelayMs, streamType } = this.#request;
    while (this.#taken < requestMessages.length) {
      if (requestDelayMs > 0) await delay(requestDelayMs);
      yield this.#unpack(schema, this.#taken++);
      if (streamType === StreamType.FULL_DUPLEX_BIDI_STREAM) await this.#untilAnswered();
    }
    if (this.#cancelTiming === "beforeCloseSend") this.#abort.abort();
    this.#sendingEnds();
  }

  #unpack<Desc extends DescMessage>(schema: Desc, index: number): MessageShape<Desc> {
    const packed = this.#request.requestMessages[index];
    const message = anyUnpack(packed, schema);
    if (message === undefined) throw new Error(`request ${index} is a ${packed.typeUrl}, not a ${schema.typeName}`);
    return message;
  }

  /** Turns are taken: as many answers as requests before the next one. */
  async #untilAnswered(): Promise<void> {
    while (this.#payloads.length < this.#taken) {
      await new Promise<void>((resolve) => {
        this.#answered = resolve;
      });
    }
  }

  // --- cancellation ---

  get #cancelTiming(): string | undefined {
    const { cancel } = this.#request;
    return cancel === undefined ? undefined : (cancel.cancelTiming.case ?? "afterCloseSendMs");
  }

  #sendingEnds(): void {
    if (this.#cancelTiming !== "afterCloseSendMs") return;
    const timing = this.#request.cancel?.cancelTiming;
    setTimeout(() => this.#abort.abort(), timing?.case === "afterCloseSendMs" ? timing.value : 0);
  }

  // --- answers ---

  async #takeAll(answers: AsyncIterable<{ payload?: ConformancePayload }>): Promise<void> {
    for await (const { payload } of answers) this.#take(payload);
  }

  #take(payload: ConformancePayload | undefined): void {
    this.#payloads.push(payload ?? create(ConformancePayloadSchema));
    this.#answered();
    const timing = this.#request.cancel?.cancelTiming;
    if (timing?.case === "afterNumResponses" && timing.value === this.#payloads.length) this.#abort.abort();
  }
}
