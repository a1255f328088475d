import {
  type CallOptions,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import type { MessageInit } from "bowline/codegen";
import type {
  EchoRequestSchema,
  EchoResponse,
  FailRequestSchema,
  HeadersRequestSchema,
  SlowRequestSchema,
  StreamRequestSchema,
} from "../../gen/peer/v1/echo_pb.ts";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { grpcJsMethod } from "./grpc-js-codec.ts";

/** The methods of peer.v1.Echo that take one request. */
interface Requests {
  unary: MessageInit<typeof EchoRequestSchema>;
  serverStream: MessageInit<typeof StreamRequestSchema>;
  fail: MessageInit<typeof FailRequestSchema>;
  slow: MessageInit<typeof SlowRequestSchema>;
  headers: MessageInit<typeof HeadersRequestSchema>;
}

/** What a call came to. */
export interface Outcome {
  readonly answers: readonly EchoResponse[];
  readonly header: Metadata | undefined;
  /** Code, message and trailers. */
  readonly status: StatusObject;
}

/** What may be said of a call. */
export interface EchoCallOptions extends CallOptions {
  readonly metadata?: Metadata;
}

/** A call under way: to cancel it, and to wait for its end. */
export interface RunningCall<Call> {
  readonly call: Call;
  readonly outcome: Promise<Outcome>;
}

type Readable = ClientUnaryCall | ClientWritableStream<unknown> | ClientReadableStream<unknown>;

/** peer.v1.Echo as a user of grpc-js calls it. */
export class GrpcJsEchoClient {
  readonly client: Client;

  constructor(address: string, options: ChannelOptions = {}) {
    this.client = new Client(address, credentials.createInsecure(), options);
  }

  close(): void {
    this.client.close();
  }

  /** A call with one request and one answer. */
  unary<Name extends Exclude<keyof Requests, "serverStream">>(
    name: Name,
    request: Requests[Name],
    options: EchoCallOptions = {},
  ): RunningCall<ClientUnaryCall> {
    const { path, requestSerialize, responseDeserialize } = grpcJsMethod(Echo.methods[name]);
    const { metadata = new Metadata(), ...rest } = options;
    const done = Promise.withResolvers<EchoResponse[]>();
    const ended = (_error: ServiceError | null, answer?: unknown): void =>
      done.resolve(answer === undefined ? [] : [answer as EchoResponse]);
    const call = this.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      rest,
      ended,
    );
    return { call, outcome: outcomeOf(call, done.promise) };
  }

  /** A call with one request and many answers. */
  serverStream(
    request: Requests["serverStream"],
    options: EchoCallOptions = {},
  ): RunningCall<ClientReadableStream<EchoResponse>> {
    const { path, requestSerialize, responseDeserialize } = grpcJsMethod(Echo.methods.serverStream);
    const { metadata = new Metadata(), ...rest } = options;
    const call = this.client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      rest,
    );
    return { call: call as ClientReadableStream<EchoResponse>, outcome: outcomeOf(call, answersOf(call)) };
  }

  /** A call with many requests and one answer. */
  clientStream(options: EchoCallOptions = {}): RunningCall<ClientWritableStream<Requests["unary"]>> {
    const { path, requestSerialize, responseDeserialize } = grpcJsMethod(Echo.methods.clientStream);
    const { metadata = new Metadata(), ...rest } = options;
    const done = Promise.withResolvers<EchoResponse[]>();
    const ended = (_error: ServiceError | null, answer?: unknown): void =>
      done.resolve(answer === undefined ? [] : [answer as EchoResponse]);
    const call = this.client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      rest,
      ended,
    );
    return { call, outcome: outcomeOf(call, done.promise) };
  }

  /** A call with many of both. */
  bidiStream(options: EchoCallOptions = {}): RunningCall<ClientDuplexStream<Requests["unary"], EchoResponse>> {
    const { path, requestSerialize, responseDeserialize } = grpcJsMethod(Echo.methods.bidiStream);
    const { metadata = new Metadata(), ...rest } = options;
    const call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, rest);
    return {
      call: call as ClientDuplexStream<Requests["unary"], EchoResponse>,
      outcome: outcomeOf(call as ClientReadableStream<unknown>, answersOf(call as ClientReadableStream<unknown>)),
    };
  }
}

function answersOf(call: ClientReadableStream<unknown>): Promise<EchoResponse[]> {
  const answers: EchoResponse[] = [];
  const { promise, resolve } = Promise.withResolvers<EchoResponse[]>();
  call.on("data", (answer: EchoResponse) => answers.push(answer));
  call.on("error", () => {}); // the status says it
  call.on("status", () => resolve(answers));
  return promise;
}

async function outcomeOf(call: Readable, answers: Promise<EchoResponse[]>): Promise<Outcome> {
  const status = Promise.withResolvers<StatusObject>();
  let header: Metadata | undefined;
  call.on("metadata", (received: Metadata) => {
    header = received;
  });
  call.on("status", status.resolve);
  return { status: await status.promise, answers: await answers, header };
}
