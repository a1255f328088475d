import { once } from "node:events";
import { createServer, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Code,
  ConnectError,
  decodeBinaryHeader,
  encodeBinaryHeader,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { type ConnectNodeAdapterOptions, connectNodeAdapter } from "@connectrpc/connect-node";
import { BadRequestSchema } from "bowline/grpc/error-details";
import {
  Echo,
  type EchoRequest,
  type EchoResponseSchema,
  type FailRequest,
  type HeaderValues,
  type StreamRequest,
} from "../../gen/peer/v1/echo_pb.ts";

type Answer = MessageInitShape<typeof EchoResponseSchema>;

/** What a test wants to know of the server. */
export interface ConnectNodeEchoServer {
  readonly address: string;
  /** Resolves when the next Slow call has been cancelled, as the handler sees it. */
  nextCancellation(): Promise<void>;
  close(): void;
}

/** peer.v1.Echo as a user of connect-node serves it, by HTTP/2 in the clear on a free port of loopback. */
export async function startConnectNodeEchoServer(
  options: Partial<ConnectNodeAdapterOptions> = {},
): Promise<ConnectNodeEchoServer> {
  let cancelled: () => void = () => {};
  const routes = connectNodeAdapter({
    ...options,
    routes: (router) =>
      void router.service(
        Echo,
        handlers(() => cancelled()),
      ),
  });
  const server = createServer(routes);
  const sessions = new Set<Http2Session>();
  server.on("session", (session) => sessions.add(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    nextCancellation: () =>
      new Promise((resolve) => {
        cancelled = resolve;
      }),
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

function handlers(cancelled: () => void): ServiceImpl<typeof Echo> {
  return {
    unary: (request, context) => answer(request, 0, context),
    serverStream: countUp,
    clientStream: async (requests) => {
      const payloads: Uint8Array[] = [];
      for await (const request of requests) payloads.push(request.payload);
      return { payload: Buffer.concat(payloads), sequence: payloads.length };
    },
    async *bidiStream(requests, context) {
      let sequence = 0;
      for await (const request of requests) yield answer(request, sequence++, context);
    },
    fail: (request) => {
      if (request.code !== 0) throw errorOf(request);
      return {};
    },
    slow: async (request, context) => {
      context.signal.addEventListener("abort", cancelled, { once: true });
      // The signal's own reason is the status to end with; the timer's error would be INTERNAL.
      await delay(request.sleepMs, undefined, { signal: context.signal }).catch(() => context.signal.throwIfAborted());
      return {};
    },
    headers: (request, context) => {
      for (const [key, held] of Object.entries(request.responseHeaders)) append(context.responseHeader, key, held);
      for (const [key, held] of Object.entries(request.responseTrailers)) append(context.responseTrailer, key, held);
      return { call: describeCall(context) };
    },
  };
}

function answer(request: EchoRequest, sequence: number, context: HandlerContext): Answer {
  const call = request.describe ? describeCall(context) : undefined;
  return { payload: request.payload, sequence, serverId: "connect-node", call };
}

async function* countUp({ count, payloadBytes, endWith }: StreamRequest): AsyncGenerator<Answer> {
  for (let sequence = 0; sequence < count; sequence++) {
    yield { payload: new Uint8Array(payloadBytes).fill(sequence), sequence };
  }
  if (endWith !== undefined) throw errorOf(endWith);
}

function errorOf({ code, message, violations }: FailRequest): ConnectError {
  const fieldViolations = violations.map(({ field, description }) => ({ field, description }));
  const details = violations.length === 0 ? [] : [{ desc: BadRequestSchema, value: { fieldViolations } }];
  return new ConnectError(message, code as number as Code, { "x-error": "told" }, details);
}

function append(headers: Headers, key: string, { values }: HeaderValues): void {
  for (const value of values) {
    headers.append(key, key.endsWith("-bin") ? encodeBinaryHeader(value) : Buffer.from(value).toString("latin1"));
  }
}

/** A Headers object has several values of one name in one text. */
function describeCall(context: HandlerContext): NonNullable<Answer["call"]> {
  const metadata: Record<string, { values: Uint8Array[] }> = {};
  context.requestHeader.forEach((text, key) => {
    const values = text.split(", ");
    metadata[key] = {
      values: values.map((each) => (key.endsWith("-bin") ? decodeBinaryHeader(each) : Buffer.from(each))),
    };
  });
  const left = context.timeoutMs();
  return { metadata, remainingDeadlineMs: left === undefined ? undefined : BigInt(Math.round(left)) };
}
