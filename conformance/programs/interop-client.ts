// gRPC's interop client: runs one case against a server and ends with 0 if it passed. Flags are those of grpc-go's client.
import { parseArgs } from "node:util";
import { type ClientOptions, createClient } from "bowline";
import { TestService, UnimplementedService } from "../gen/grpc/testing/test_rpc.ts";
import { CountingRelay } from "./counting-relay.ts";
import { type CountedClient, INTEROP_CASES, type InteropCase } from "./interop-cases.ts";
import { COMPRESSION_CASES } from "./interop-compression.ts";
import { channelSoak, rpcSoak } from "./interop-soak.ts";

const CASES: Readonly<Record<string, InteropCase>> = {
  ...INTEROP_CASES,
  ...COMPRESSION_CASES,
  rpc_soak: rpcSoak,
  channel_soak: channelSoak,
};

const { values } = parseArgs({
  options: {
    server_host: { type: "string", default: "127.0.0.1" },
    server_port: { type: "string", default: "10000" },
    test_case: { type: "string", default: "large_unary" },
    use_tls: { type: "boolean", default: false },
    ca_file: { type: "string" },
    server_host_override: { type: "string" },
    soak_iterations: { type: "string", default: "10" },
    soak_num_threads: { type: "string", default: "1" },
    soak_max_failures: { type: "string", default: "0" },
    soak_per_iteration_max_acceptable_latency_ms: { type: "string", default: "1000" },
    soak_overall_timeout_seconds: { type: "string", default: "10" },
    soak_request_size: { type: "string", default: "271828" },
    soak_response_size: { type: "string", default: "314159" },
  },
});

const run = CASES[values.test_case];
if (run === undefined) {
  process.stderr.write(`no case ${values.test_case}; there are ${Object.keys(CASES).join(" ")}\n`);
  process.exit(2);
}
const target = `${values.server_host}:${values.server_port}`;
// Only cases that set a deadline have one.
const options: ClientOptions = values.use_tls
  ? { timeoutMs: 0, tls: { authorities: values.ca_file }, authority: values.server_host_override }
  : { timeoutMs: 0 };
const test = createClient(TestService, target, options);
const unimplemented = createClient(UnimplementedService, target, options);
let channels = 0;

async function connectCounted(): Promise<CountedClient> {
  const relay = await CountingRelay.open(values.server_host, Number(values.server_port));
  const counted = createClient(TestService, relay.address, options);
  return {
    test: counted,
    receivedBytes: () => relay.receivedBytes,
    close: () => {
      counted.close();
      relay.close();
    },
  };
}

try {
  await run({
    test,
    unimplemented,
    connect: () => {
      // Clients with the same settings share their connections, so this one gets a setting of its own.
      const another = createClient(TestService, target, { ...options, maxWaitingCalls: 10_000 + ++channels });
      return { test: another, close: another.close };
    },
    connectCounted,
    soak: {
      iterations: Number(values.soak_iterations),
      threads: Number(values.soak_num_threads),
      maxFailures: Number(values.soak_max_failures),
      maxLatencyMs: Number(values.soak_per_iteration_max_acceptable_latency_ms),
      overallTimeoutSeconds: Number(values.soak_overall_timeout_seconds),
      requestBytes: Number(values.soak_request_size),
      responseBytes: Number(values.soak_response_size),
    },
  });
} catch (error) {
  process.stderr.write(`${values.test_case}: ${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
} finally {
  test.close();
  unimplemented.close();
}
