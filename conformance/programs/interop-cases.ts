import assert from "node:assert/strict";
import { Code, codeName, type Metadata, RpcError } from "bowline";
import { collect } from "../../test/peers/collect.ts";
import { Outbox } from "../../test/peers/outbox.ts";
import { PayloadType } from "../gen/grpc/testing/messages_pb.ts";
import type { TestServiceClient, UnimplementedServiceClient } from "../gen/grpc/testing/test_rpc.ts";
import type { SoakSettings } from "./interop-soak.ts";

/** What a case calls. */
export interface InteropClients {
  readonly test: TestServiceClient;
  readonly unimplemented: UnimplementedServiceClient;
  /** A further client with connections of its own. */
  connect(): { readonly test: TestServiceClient; close(): void };
  /** The same, with the number of octets that its server has sent. */
  connectCounted(): Promise<CountedClient>;
  readonly soak: SoakSettings;
}

/** A client of its own whose connections are watched from outside. */
export interface CountedClient {
  readonly test: TestServiceClient;
  receivedBytes(): number;
  close(): void;
}

/** Passes by resolving. */
export type InteropCase = (clients: InteropClients) => Promise<void>;

/** Sizes of the large calls. */
export const LARGE_REQUEST_BYTES = 271_828;
export const LARGE_RESPONSE_BYTES = 314_159;
const REQUEST_SIZES = [27_182, 8, 1828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2653, 58_979];
const ECHO_INITIAL = "x-grpc-test-echo-initial";
const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";

/** The messages of a request by their types in generated code. */
type DuplexRequest = Parameters<TestServiceClient["fullDuplexCall"]>[0] extends
  | AsyncIterable<infer Request>
  | Iterable<infer Request>
  ? Request
  : never;

/** A payload of that size, all zeros, which compress well. */
export function zeros(size: number): { type: PayloadType; body: Uint8Array } {
  return { type: PayloadType.COMPRESSABLE, body: new Uint8Array(size) };
}

/** Makes one large call and checks the size of its answer. */
export async function callLarge(
  client: TestServiceClient,
  requestBytes: number = LARGE_REQUEST_BYTES,
  responseBytes: number = LARGE_RESPONSE_BYTES,
): Promise<void> {
  const request = { responseType: PayloadType.COMPRESSABLE, responseSize: responseBytes, payload: zeros(requestBytes) };
  const { payload } = await client.unaryCall(request);
  assert.equal(payload?.type, PayloadType.COMPRESSABLE);
  assert.equal(payload.body.length, responseBytes);
}

/** The error that a call ends with, whose code must be the one given. */
export async function failure(call: Promise<unknown>, wanted: Code): Promise<RpcError> {
  const error = await call.then(
    () => assert.fail(`the call succeeded, ${codeName(wanted)} was wanted`),
    (thrown: unknown) => thrown,
  );
  assert.ok(RpcError.is(error), `not an RpcError: ${error}`);
  assert.equal(codeName(error.code), codeName(wanted), error.message);
  return error;
}

/** A duplex call by turns: what is sent, and the next answer to it. */
class Dialogue {
  readonly outbox: Outbox<DuplexRequest> = new Outbox();
  readonly #answers: AsyncIterator<{ payload?: { body: Uint8Array } }>;

  constructor(client: TestServiceClient, options?: Parameters<TestServiceClient["fullDuplexCall"]>[1]) {
    this.#answers = client.fullDuplexCall(this.outbox, options)[Symbol.asyncIterator]();
  }

  ask(requestBytes: number, responseBytes: number): void {
    const responseParameters = [{ size: responseBytes }];
    this.outbox.push({ responseType: PayloadType.COMPRESSABLE, responseParameters, payload: zeros(requestBytes) });
  }

  /** Size of the next answer; undefined at the end. */
  async next(): Promise<number | undefined> {
    const { value, done } = await this.#answers.next();
    return done === true ? undefined : (value.payload?.body.length ?? 0);
  }
}

async function emptyUnary({ test }: InteropClients): Promise<void> {
  await test.emptyCall({});
}

async function largeUnary({ test }: InteropClients): Promise<void> {
  await callLarge(test);
}

async function concurrentLargeUnary({ test }: InteropClients): Promise<void> {
  await Promise.all(Array.from({ length: 1000 }, () => callLarge(test)));
}

async function clientStreaming({ test }: InteropClients): Promise<void> {
  const { aggregatedPayloadSize } = await test.streamingInputCall(
    REQUEST_SIZES.map((size) => ({ payload: zeros(size) })),
  );
  assert.equal(aggregatedPayloadSize, 74_922);
}

async function serverStreaming({ test }: InteropClients): Promise<void> {
  const responseParameters = RESPONSE_SIZES.map((size) => ({ size }));
  const answers = test.streamingOutputCall({ responseType: PayloadType.COMPRESSABLE, responseParameters });
  const sizes = (await collect(answers)).map((answer) => answer.payload?.body.length);
  assert.deepEqual(sizes, RESPONSE_SIZES);
}

async function pingPong({ test }: InteropClients): Promise<void> {
  const dialogue = new Dialogue(test);
  for (const [i, size] of REQUEST_SIZES.entries()) {
    dialogue.ask(size, RESPONSE_SIZES[i]);
    assert.equal(await dialogue.next(), RESPONSE_SIZES[i]);
  }
  dialogue.outbox.end();
  assert.equal(await dialogue.next(), undefined);
}

async function emptyStream({ test }: InteropClients): Promise<void> {
  assert.deepEqual(await collect(test.fullDuplexCall([])), []);
}

async function timeoutOnSleepingServer({ test }: InteropClients): Promise<void> {
  const dialogue = new Dialogue(test, { timeoutMs: 1 });
  dialogue.outbox.push({ payload: zeros(27_182) });
  await failure(dialogue.next(), Code.DEADLINE_EXCEEDED);
}

async function cancelAfterBegin({ test }: InteropClients): Promise<void> {
  const abort = new AbortController();
  const call = test.streamingInputCall(new Outbox<never>(), { signal: abort.signal });
  abort.abort();
  await failure(call, Code.CANCELLED);
}

async function cancelAfterFirstResponse({ test }: InteropClients): Promise<void> {
  const abort = new AbortController();
  const dialogue = new Dialogue(test, { signal: abort.signal });
  dialogue.ask(27_182, 31_415);
  assert.equal(await dialogue.next(), 31_415);
  abort.abort();
  await failure(dialogue.next(), Code.CANCELLED);
}

async function statusCodeAndMessage({ test }: InteropClients): Promise<void> {
  const responseStatus = { code: Code.UNKNOWN, message: "test status message" };
  assert.equal((await failure(test.unaryCall({ responseStatus }), Code.UNKNOWN)).text, responseStatus.message);
  const duplex = collect(test.fullDuplexCall([{ responseStatus }]));
  assert.equal((await failure(duplex, Code.UNKNOWN)).text, responseStatus.message);
}

async function specialStatusMessage({ test }: InteropClients): Promise<void> {
  const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
  const error = await failure(test.unaryCall({ responseStatus: { code: Code.UNKNOWN, message } }), Code.UNKNOWN);
  assert.equal(error.text, message);
}

async function customMetadata({ test }: InteropClients): Promise<void> {
  const trailing = Buffer.from([0xab, 0xab, 0xab]);
  const metadata = { [ECHO_INITIAL]: "test_initial_metadata_value", [ECHO_TRAILING]: trailing };
  let header: Metadata | undefined;
  let trailer: Metadata | undefined;
  const options = {
    metadata,
    onHeader: (received: Metadata) => {
      header = received;
    },
    onTrailer: (received: Metadata) => {
      trailer = received;
    },
  };
  const check = (): void => {
    assert.deepEqual(header?.getAll(ECHO_INITIAL), ["test_initial_metadata_value"]);
    assert.deepEqual(
      trailer?.getAll(ECHO_TRAILING).map((each) => Buffer.from(each)),
      [trailing],
    );
    header = trailer = undefined;
  };
  await test.unaryCall({ responseSize: LARGE_RESPONSE_BYTES, payload: zeros(LARGE_REQUEST_BYTES) }, options);
  check();
  const dialogue = new Dialogue(test, options);
  dialogue.ask(LARGE_REQUEST_BYTES, LARGE_RESPONSE_BYTES);
  assert.equal(await dialogue.next(), LARGE_RESPONSE_BYTES);
  dialogue.outbox.end();
  assert.equal(await dialogue.next(), undefined);
  check();
}

async function unimplementedMethod({ test }: InteropClients): Promise<void> {
  await failure(test.unimplementedCall({}), Code.UNIMPLEMENTED);
}

async function unimplementedService({ unimplemented }: InteropClients): Promise<void> {
  await failure(unimplemented.unimplementedCall({}), Code.UNIMPLEMENTED);
}

/** Every case but those of compression and the soaks, by its name in grpc/grpc `doc/interop-test-descriptions.md`. */
export const INTEROP_CASES: Readonly<Record<string, InteropCase>> = {
  empty_unary: emptyUnary,
  large_unary: largeUnary,
  concurrent_large_unary: concurrentLargeUnary,
  client_streaming: clientStreaming,
  server_streaming: serverStreaming,
  ping_pong: pingPong,
  empty_stream: emptyStream,
  timeout_on_sleeping_server: timeoutOnSleepingServer,
  cancel_after_begin: cancelAfterBegin,
  cancel_after_first_response: cancelAfterFirstResponse,
  status_code_and_message: statusCodeAndMessage,
  special_status_message: specialStatusMessage,
  custom_metadata: customMetadata,
  unimplemented_method: unimplementedMethod,
  unimplemented_service: unimplementedService,
};
