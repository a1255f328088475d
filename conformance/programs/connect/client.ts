// The client that the Connect conformance runner tests: makes each call that a ClientCompatRequest on standard input describes, several
// at once, and writes what became of it.
import { create } from "@bufbuild/protobuf";
import { type Client, type ClientOptions, createClient } from "bowline";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  type ClientCompatResponse,
  ClientCompatResponseSchema,
} from "../../gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { Codec, Compression } from "../../gen/connectrpc/conformance/v1/config_pb.ts";
import { ConformanceService, type ConformanceServiceClient } from "../../gen/connectrpc/conformance/v1/service_rpc.ts";
import { makeCall } from "./compat-call.ts";
import { framed, readFramed } from "./framed-messages.ts";

/** Calls at once. */
const MAX_CALLS = 32;

const COMPRESSIONS: Readonly<Partial<Record<Compression, string>>> = {
  [Compression.GZIP]: "gzip",
  [Compression.BR]: "br",
  [Compression.DEFLATE]: "deflate",
  [Compression.ZSTD]: "zstd",
};

/** Open until the end: calls with the same settings share connections. */
const clients = new Map<string, Client<ConformanceServiceClient>>();

function clientFor(request: ClientCompatRequest): ConformanceServiceClient {
  const { host, port, serverTlsCert, clientTlsCreds: own, codec, compression, messageReceiveLimit } = request;
  const key = [host, port, codec, compression, messageReceiveLimit, own !== undefined].join(" ");
  const existing = clients.get(key);
  if (existing !== undefined) return existing;
  const identity = own === undefined ? {} : { certificate: Buffer.from(own.cert), key: Buffer.from(own.key) };
  const options: ClientOptions = {
    // Only calls that are to have a deadline have one.
    timeoutMs: 0,
    tls: serverTlsCert.length === 0 ? undefined : { authorities: Buffer.from(serverTlsCert), ...identity },
    codec: codec === Codec.JSON ? "json" : "proto",
    compression: COMPRESSIONS[compression],
    compressFromBytes: 0,
    maxReceiveBytes: messageReceiveLimit === 0 ? undefined : messageReceiveLimit,
  };
  const client = createClient(ConformanceService, `${host}:${port}`, options);
  clients.set(key, client);
  return client;
}

async function answer(request: ClientCompatRequest): Promise<ClientCompatResponse> {
  const { testName } = request;
  try {
    const value = await makeCall(request, clientFor(request));
    return create(ClientCompatResponseSchema, { testName, result: { case: "response", value } });
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return create(ClientCompatResponseSchema, { testName, result: { case: "error", value: { message } } });
  }
}

process.once("SIGTERM", () => process.exit(0));
const running = new Set<Promise<void>>();
for await (const request of readFramed(ClientCompatRequestSchema, process.stdin)) {
  const call: Promise<void> = answer(request).then((response) => {
    process.stdout.write(framed(ClientCompatResponseSchema, response));
    running.delete(call);
  });
  running.add(call);
  if (running.size >= MAX_CALLS) await Promise.race(running);
}
await Promise.all(running);
for (const client of clients.values()) await client.close();
