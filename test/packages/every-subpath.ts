import assert from "node:assert/strict";
import {
  after,
  type Balancer,
  before,
  type CallOptions,
  type Candidate,
  type Channel,
  type ChannelState,
  type Client,
  type ClientOptions,
  Code,
  type Codec,
  type CodeName,
  codeName,
  createClient,
  createServer,
  type ErrorDetail,
  fromBytes,
  HTTP2_LIMITS,
  type Http2Limits,
  type Idempotency,
  type InterceptedCall,
  type Interceptor,
  type Logger,
  Metadata,
  type MetadataInit,
  type Method,
  type MethodKind,
  type MethodStats,
  quantileMs,
  RpcError,
  type RpcErrorReason,
  type ServedCall,
  type Server,
  type ServerContext,
  type ServerInterceptor,
  type ServerOptions,
  type ServerState,
  type Service,
  sharedBytes,
  silentLogger,
  type TlsSettings,
  toBytes,
  toCode,
} from "bowline";
import { type Authenticator, appToken, bearerCredentials, type CallCredentials, sameSecret } from "bowline/auth";
import { jwt } from "bowline/auth/jwt";
import { fileDescriptors, type MessageInit, protobufCodec } from "bowline/codegen";
import { fromGoZero } from "bowline/go-zero";
import { TimestampCodec } from "bowline/google/protobuf/timestamp";
import { debugInfo, errorInfo, findDetail, RetryInfoSchema, retryDelayMs, retryInfo } from "bowline/grpc/error-details";
import { Health } from "bowline/grpc/health";
import { merged, type Registry, watchTarget } from "bowline/registry";
import { consul } from "bowline/registry/consul";
import { etcd } from "bowline/registry/etcd";
import { eureka } from "bowline/registry/eureka";
import { kubernetes } from "bowline/registry/kubernetes";
import { type LocalOptions, local } from "bowline/registry/local";
import { nacos } from "bowline/registry/nacos";
import { memoryLinkPair, RawPeer, seededRandom, settle, VirtualClock } from "bowline/testing";
import { file_packages_v1_knot, KnotSchema } from "../gen/packages/v1/knot_pb.ts";
import { KnotService, type KnotServiceClient } from "../gen/packages/v1/knot_rpc.ts";
import { callEverything } from "./knot-calls.ts";
import { knotHandlers } from "./knot-handlers.ts";

/**
 * A program that uses every published subpath, and names what `bowline` exports: type-checked as its users' programs are, by
 * several versions of TypeScript, and run.
 */
export interface Everything {
  readonly balancer: Balancer<Candidate>;
  readonly channel: readonly [Channel, ChannelState];
  readonly options: readonly [
    CallOptions,
    ClientOptions,
    ServerOptions,
    LocalOptions,
    TlsSettings,
    Partial<Http2Limits>,
  ];
  readonly method: readonly [Method, MethodKind, Idempotency, Codec<Uint8Array>, Service];
  readonly error: readonly [RpcError, RpcErrorReason, ErrorDetail, CodeName];
  readonly server: readonly [Server, ServerState, ServerContext, MethodStats];
  readonly metadata: MetadataInit;
  readonly knot: MessageInit<typeof KnotSchema>;
}

const seen: string[] = [];
const trace: Interceptor = (call: InterceptedCall, next) => {
  seen.push(call.method.name);
  return next(call);
};
const served: ServerInterceptor = (call: ServedCall, next) => next(call);
const logger: Logger = silentLogger;
const registry = local({ namespace: "every-subpath" });

await using server = createServer({ listen: "127.0.0.1:0", interceptors: [served], drainAcceptMs: 0, logger });
await server.add(KnotService, knotHandlers).start();
const interceptors = [trace, before("retry", trace), after("trace", trace)];
await using knots: Client<KnotServiceClient> = createClient(KnotService, server.address, { interceptors, registry });
await callEverything(knots);
assert.equal(seen.length, 15);
assert.ok(server.stats.some((each: MethodStats) => quantileMs(each.histogram(), 0.5) >= 0));

const authenticators: Authenticator[] = [
  appToken({ tokens: (app) => (app === "shop" ? "secret" : undefined) }),
  jwt({ jwksUrl: "https://issuer.example/keys", issuer: "https://issuer.example", audience: "knots" }),
];
const credentials: CallCredentials = bearerCredentials({ token: "t", allowPlaintext: true });
assert.deepEqual([authenticators.length, credentials.allowPlaintext, sameSecret("a", "b")], [2, true, false]);
assert.equal(protobufCodec(KnotSchema).name, "proto");
const second = { $typeName: "google.protobuf.Timestamp", seconds: 1n, nanos: 5 } as const;
assert.deepEqual(fromBytes(sharedBytes(TimestampCodec), toBytes(TimestampCodec, second)), second);
assert.ok(fileDescriptors(file_packages_v1_knot).length > 1);
const error = new RpcError(Code.UNAVAILABLE, "later", {
  details: [retryInfo({ delayMs: 20 }), errorInfo({}), debugInfo({})],
});
assert.equal(retryDelayMs(error), 20);
assert.equal(findDetail(error, RetryInfoSchema)?.retryDelay?.nanos, 20_000_000);
assert.equal(codeName(toCode(error.code)), "UNAVAILABLE");
assert.equal(new Metadata({ tenant: "a" }).get("tenant"), "a");
assert.ok(Object.keys(HTTP2_LIMITS).length > 0);
await registries();
await testingTools();

async function registries(): Promise<void> {
  await using health = createClient(Health, server.address);
  assert.equal((await health.check({})).status, 1);
  const all = [etcd("127.0.0.1:2379"), consul(), eureka("127.0.0.1:8761"), kubernetes({ namespace: "shop" }), nacos()];
  assert.deepEqual(
    all.map(({ name }) => name),
    ["etcd", "consul", "eureka", "kubernetes", "nacos"],
  );
  const none: Registry | undefined = undefined;
  assert.equal(merged(...all, ...(none === undefined ? [] : [none])).name, "merged");
  const count = await new Promise<number>((resolve, reject) => {
    const watch = watchTarget("static:///a:1,b:2", {
      snapshot: ({ instances }) => void watch.close().then(() => resolve(instances.length)),
      failed: reject,
    });
  });
  assert.equal(count, 2);
  const config = await fromGoZero({ Name: "user.rpc", Endpoints: ["127.0.0.1:8080"] });
  assert.equal(config.client().target, "static:///127.0.0.1:8080");
}

async function testingTools(): Promise<void> {
  const clock = new VirtualClock();
  let fired = false;
  clock.setTimeout(() => {
    fired = true;
  }, 1000);
  await clock.advance(1000);
  await settle();
  assert.ok(fired);
  assert.equal(seededRandom(1)(), seededRandom(1)());
  assert.equal(memoryLinkPair().length, 2);
  assert.equal(typeof RawPeer, "function");
}
