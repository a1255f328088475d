/** What one folder of packages/bowline/src may import at run time. `import type` is free everywhere. */
export interface Layer {
  /** Path below `src`, of a folder or one file; the longest that fits a file counts. */
  readonly path: string;
  /** Layers it may import besides itself. */
  readonly layers: readonly string[];
  /** Modules of Node, without `node:`. */
  readonly node: readonly string[];
  /** Further modules of Node that one file of the layer owns, by its path. */
  readonly nodeOf?: Readonly<Record<string, readonly string[]>>;
  /** Packages from npm. */
  readonly packages?: readonly string[];
  /** Why it may import this and no more. */
  readonly why: string;
}

const BUILDING_BLOCKS = [
  "codegen.ts",
  "gen",
  "rpc",
  "codec",
  "resilience",
  "http2",
  "http2/hpack",
  "grpc",
  "net",
  "balancer",
];
const SERVICES = ["registry", "observe", "config"];
const ALL = [...BUILDING_BLOCKS, ...SERVICES, "client", "server"];
const PROTOBUF = ["@bufbuild/protobuf"];

/** Registries of others. */
const ADAPTERS = ["etcd", "consul", "eureka", "nacos", "kubernetes"];

/** Every adapter to a registry of others: the same rule, so that one is learnt and all are known. */
const registryAdapter = (name: string): Layer => ({
  path: `registry/${name}`,
  layers: [
    ...BUILDING_BLOCKS,
    ...SERVICES,
    "client",
    "registry/http",
    "registry/remote",
    `registry/${name}/kube-config.ts`,
  ],
  node: ["crypto", "fs", "fs/promises", "http", "https", "os", "path"],
  packages: PROTOBUF,
  why: "an adapter speaks to its registry through our own client; it never serves, and never needs another adapter",
});

/** The direction of dependencies, from the bottom up. This table is its documentation. */
export const layers: readonly Layer[] = [
  {
    path: "rpc",
    layers: [],
    node: ["async_hooks"],
    why: "it is the vocabulary that everything else speaks",
  },
  {
    path: "codec",
    layers: ["rpc"],
    node: ["zlib"],
    nodeOf: { "codec/wire/bytes.ts": ["worker_threads"] },
    packages: PROTOBUF,
    why: "messages and bytes are the same over any transport",
  },
  {
    path: "codegen.ts",
    layers: ["rpc", "codec"],
    node: [],
    packages: PROTOBUF,
    why: "generated code must not depend on how calls are made",
  },
  {
    path: "gen",
    layers: ["codegen.ts", "rpc", "codec"],
    node: [],
    packages: PROTOBUF,
    why: "generated messages are on the level of the codec",
  },
  {
    path: "resilience",
    layers: ["rpc"],
    node: [],
    why: "its algorithms are pure, so that the simulator runs the shipped code; they know no transport and no codec",
  },
  {
    path: "http2",
    layers: ["rpc", "http2/hpack"],
    node: [],
    why: "it knows nothing of gRPC, messages or sockets; whoever opens a link gives it one",
  },
  {
    path: "http2/hpack",
    layers: ["rpc"],
    node: [],
    why: "it turns header fields into bytes and back, and needs no frames for that",
  },
  {
    path: "grpc",
    layers: ["rpc", "codec", "codegen.ts", "gen", "http2", "http2/hpack"],
    node: ["zlib"],
    packages: PROTOBUF,
    why: "it is a protocol over HTTP/2; what is decided around a call belongs to client and server",
  },
  {
    path: "net",
    layers: ["rpc", "http2"],
    node: ["crypto", "fs", "fs/promises", "http", "net", "os", "path", "tls"],
    nodeOf: { "net/shared-reads.ts": ["worker_threads"] },
    why: "it opens links and knows no gRPC, so that one port can serve other protocols too",
  },
  {
    path: "balancer",
    layers: ["rpc", "resilience"],
    node: [],
    why: "its algorithms are pure and know no transport, so that the simulator runs the shipped code",
  },
  {
    path: "auth",
    layers: ["rpc"],
    node: ["crypto"],
    why: "credentials are proven and given on both sides alike; client and server know their shape only, and load none of it",
  },
  {
    path: "auth/jwt.ts",
    layers: ["rpc", "auth"],
    node: [],
    packages: ["jose"],
    why: "the optional peer is reachable from its own subpath only, else every user would have to install it",
  },
  {
    path: "registry",
    layers: ["registry/target/adapters.ts", "rpc", "codec", "codegen.ts", "gen", "resilience"],
    node: ["crypto", "dns", "dns/promises", "fs", "fs/promises", "http", "net", "os", "path", "tls", "url"],
    nodeOf: { "registry/remote/local-address.ts": ["dgram"] },
    why: "clients look instances up in it, so it can't need a client; adapters that do have their own rule below",
  },
  {
    path: "registry/target/adapters.ts",
    layers: ["registry", ...ADAPTERS.map((name) => `registry/${name}`)],
    node: [],
    why: "a target may name any registry; it is the one place that knows them all, and it loads them on demand",
  },
  {
    path: "registry/http",
    layers: ["rpc", "net", "registry"],
    node: ["http", "https", "net"],
    why: "it is how adapters ask registries that speak HTTP",
  },
  ...ADAPTERS.map(registryAdapter),
  {
    path: "registry/kubernetes/kube-config.ts",
    layers: ["registry/kubernetes"],
    node: ["child_process", "fs/promises", "os", "path", "util"],
    packages: ["yaml"],
    why: "kubectl's configuration is YAML, and names programs that give tokens; both only outside of a cluster",
  },
  {
    path: "observe",
    layers: ["rpc", "codec", "codegen.ts", "gen", "resilience"],
    node: ["async_hooks", "diagnostics_channel", "http", "os", "perf_hooks", "v8"],
    why: "client and server report to it; it looks at neither",
  },
  {
    path: "observe/otel",
    layers: ["rpc", "observe"],
    node: [],
    packages: ["@opentelemetry/api"],
    why: "the optional peer is reachable from its own subpath only, else every user would have to install it",
  },
  {
    path: "config",
    layers: ["rpc", "codec", "resilience"],
    node: ["fs", "fs/promises", "os", "path"],
    why: "client and server read it; it looks at neither",
  },
  {
    path: "config/centre",
    layers: [...BUILDING_BLOCKS, ...SERVICES, "client"],
    node: ["crypto", "http", "https"],
    packages: PROTOBUF,
    why: "a config centre is reached through our own client",
  },
  {
    path: "client",
    layers: [...BUILDING_BLOCKS, ...SERVICES],
    node: ["async_hooks", "os"],
    packages: PROTOBUF,
    why: "whoever only calls must not load a server; what both need lies further down",
  },
  {
    path: "server",
    layers: [...BUILDING_BLOCKS, ...SERVICES],
    node: ["async_hooks", "http", "os"],
    packages: PROTOBUF,
    why: "whoever only serves must not load a client; what both need lies further down",
  },
  {
    path: "index.ts",
    layers: ALL,
    node: [],
    packages: PROTOBUF,
    why: "it holds what a first-day user needs; adapters, optional peers and test tools have their own subpaths",
  },
  {
    path: "go-zero",
    layers: ["rpc", "auth", "net", "registry", "registry/etcd"],
    node: [],
    packages: ["yaml"],
    why: "it reads a go-zero configuration into options of client and server, of which it needs the types only; yaml is loaded for text only",
  },
  {
    path: "gateway",
    layers: [...ALL, "index.ts"],
    node: ["http", "stream"],
    packages: PROTOBUF,
    why: "it stands on client and server",
  },
  {
    path: "events",
    layers: [...ALL, "index.ts"],
    node: ["crypto"],
    packages: PROTOBUF,
    why: "it stands on client and server; brokers are reached from their own subpaths",
  },
  {
    path: "saga",
    layers: [...ALL, "index.ts", "events"],
    node: ["crypto"],
    packages: PROTOBUF,
    why: "it stands on client and server",
  },
  {
    path: "testing",
    layers: [...ALL, "index.ts", "gateway", "events", "saga"],
    node: ["crypto", "events", "fs", "fs/promises", "net", "os", "path", "tls"],
    packages: PROTOBUF,
    why: "it tests everything, and nothing that is shipped may need it",
  },
];

/** Folders that use Bowline as its users do: by the subpaths that its package.json publishes. */
export const consumers: readonly string[] = [
  "packages/cli",
  "packages/console",
  "examples",
  "bench",
  "conformance",
  "sim",
  "test",
];

/** A consumer that may look inside, and why. */
export interface InsideView {
  /** Folder or file of the consumer. */
  readonly from: string;
  /** Folders or files below packages/bowline/src. */
  readonly to: readonly string[];
  readonly why: string;
}

/** The exceptions to the rule for consumers; each is a door that users don't have. */
export const insideViews: readonly InsideView[] = [
  {
    from: "bench/micro",
    to: ["balancer", "codec/wire"],
    why: "measures a pick or a text alone, in nanoseconds, without the call or the message around it",
  },
  {
    from: "conformance/programs/h2specd-client.ts",
    to: ["http2", "net", "rpc/clock.ts"],
    why: "h2specd judges a client of plain HTTP/2: a connection without gRPC on it",
  },
  {
    from: "conformance/suites/hpack.ts",
    to: ["http2"],
    why: "the vectors are header blocks by the thousand, which no peer would send",
  },
  {
    from: "test/fuzz",
    to: ["http2", "grpc", "codec", "net", "registry", "rpc", "testing"],
    why: "a decoder alone reads a thousand times the inputs that it would read behind a socket",
  },
  {
    from: "test/registry",
    to: ["gen/etcd", "gen/nacos", "registry", "rpc"],
    why: "a registry is judged by what it tells and takes; behind a channel its snapshots would not be seen",
  },
];
