import { describe, expect, it } from "vitest";
import { checkDependencies } from "./dependencies.ts";
import type { InsideView } from "./dependency-table.ts";

const exports = {
  ".": "./src/index.ts",
  "./testing": "./src/testing/index.ts",
  "./registry/*": "./src/registry/*/index.ts",
};

/** Checks files given by path and text; paths without a folder of the repository are below packages/bowline/src. */
function problems(texts: Record<string, string>, insideViews: readonly InsideView[] = []): string[] {
  const files = Object.entries(texts).map(([path, text]) => ({
    path: /^(packages|examples|test|bench)\//.test(path) ? path : `packages/bowline/src/${path}`,
    text,
  }));
  return checkDependencies({ files, exports, insideViews }).map(({ file, line, problem }) =>
    `${file}:${line} ${problem}`.replaceAll("packages/bowline/src/", ""),
  );
}

describe("direction of dependencies", () => {
  it("lets every layer import what lies below it, and types from anywhere", () => {
    expect(
      problems({
        "client/channel.ts": `import { a } from "../grpc/a.ts"; import { b } from "../observe/b.ts"; import "node:async_hooks";`,
        "grpc/a.ts": `import { c } from "../http2/c.ts"; import { d } from "../codec/d.ts"; import "@bufbuild/protobuf/wkt";`,
        "http2/c.ts": `import type { Channel } from "../client/channel.ts"; export type { A } from "../grpc/a.ts";`,
        "gen/a_pb.ts": `import { messageCodec } from "../codegen.ts";`,
        "testing/index.ts": `export * from "../client/channel.ts"; import "node:net";`,
      }),
    ).toEqual([]);
  });

  it("refuses imports upward and sideways", () => {
    expect(
      problems({
        "rpc/a.ts": `import "../codec/a.ts";`,
        "codec/a.ts": `import "../resilience/a.ts";`,
        "resilience/a.ts": `\nimport "../http2/a.ts";`,
        "http2/a.ts": `export * from "../grpc/a.ts";`,
        "grpc/b.ts": `import "../net/a.ts"; await import("../resilience/a.ts");`,
        "balancer/a.ts": `import "../http2/a.ts"; import "../client/a.ts";`,
        "client/a.ts": `import { type A } from "../server/a.ts";`,
        "server/a.ts": `import "../client/b.ts"; import "../testing/link.ts";`,
        "index.ts": `import "./testing/link.ts";`,
      }),
    ).toEqual([
      'rpc/a.ts:1 imports "../codec/a.ts"',
      'codec/a.ts:1 imports "../resilience/a.ts"',
      'resilience/a.ts:2 imports "../http2/a.ts"',
      'http2/a.ts:1 imports "../grpc/a.ts"',
      'grpc/b.ts:1 imports "../net/a.ts"',
      'grpc/b.ts:1 imports "../resilience/a.ts"',
      'balancer/a.ts:1 imports "../http2/a.ts"',
      'balancer/a.ts:1 imports "../client/a.ts"',
      'client/a.ts:1 imports "../server/a.ts"',
      'server/a.ts:1 imports "../client/b.ts"',
      'server/a.ts:1 imports "../testing/link.ts"',
      'index.ts:1 imports "./testing/link.ts"',
      "client/a.ts:1 client and server import each other (back at server/a.ts:1)",
    ]);
  });

  it("keeps Node's modules and packages where they belong", () => {
    expect(
      problems({
        "net/net-link.ts": `import { connect } from "node:net"; import { frames } from "../http2/frames.ts";`,
        "http2/frames.ts": `import "node:net"; import "node:tls";`,
        "http2/hpack/decoder.ts": `import "../frames.ts";`,
        "net/dial.ts": `import "./net-link.ts"; import "node:tls";`,
        "gen/a_pb.ts": `import "bowline"; import "bowline/registry/etcd"; import "pino";`,
        "rpc/a.ts": `import "node:timers"; import "@bufbuild/protobuf";`,
        "client/a.ts": `import "pino"; import "bowline"; import(name);`,
        "observe/b.ts": `import "@opentelemetry/api";`,
        "observe/otel/c.ts": `import "@opentelemetry/api";`,
        "stray/d.ts": `import "../rpc/a.ts";`,
      }),
    ).toEqual([
      'http2/frames.ts:1 imports "node:net"',
      'http2/frames.ts:1 imports "node:tls"',
      'http2/hpack/decoder.ts:1 imports "../frames.ts"',
      'gen/a_pb.ts:1 imports "bowline"',
      'gen/a_pb.ts:1 imports "bowline/registry/etcd"',
      'gen/a_pb.ts:1 imports "pino"',
      'rpc/a.ts:1 imports "node:timers"',
      'rpc/a.ts:1 imports "@bufbuild/protobuf"',
      'client/a.ts:1 imports "pino"',
      'client/a.ts:1 imports "bowline"',
      "client/a.ts:1 import() of something computed",
      'observe/b.ts:1 imports "@opentelemetry/api"',
      "stray/d.ts:undefined no layer holds this file",
    ]);
  });

  it("finds cycles of files and folders that import each other, but not those of types", () => {
    expect(
      problems({
        "rpc/a.ts": `import "./b.ts";`,
        "rpc/b.ts": `import "./c.ts";`,
        "rpc/c.ts": `import "./a.ts"; import "./d.ts";`,
        "rpc/d.ts": `import type { C } from "./c.ts";`,
        "registry/e.ts": `import "./local/f.ts";`,
        "registry/local/f.ts": `import "../g.ts";`,
        "registry/g.ts": `import type { A } from "../rpc/a.ts";`,
        "registry/dns/h.ts": `import "../local/i.ts";`,
        "registry/local/f2.ts": `import "../dns/j.ts";`,
      }),
    ).toEqual([
      "rpc/a.ts:1 runtime cycle: rpc/a.ts → rpc/b.ts → rpc/c.ts → rpc/a.ts",
      "registry/dns/h.ts:1 registry/dns and registry/local import each other (back at registry/local/f2.ts:1)",
    ]);
  });

  it("holds everybody else to what the package publishes", () => {
    const texts = {
      "examples/shop/src/main.ts": `import "bowline"; import "bowline/testing"; import "bowline/registry/etcd";`,
      "packages/cli/src/a.ts": `import { x } from "bowline/http2/frames"; import "../../bowline/src/index.ts"; import "./b.ts";`,
      "test/interop/a.ts": `import type { Frame } from "../../packages/bowline/src/http2/frames.ts";`,
      "bench/hpack.ts": `import "../packages/bowline/src/http2/hpack/decoder.ts";`,
    };
    const refused = [
      'packages/cli/src/a.ts:1 imports "bowline/http2/frames"',
      'packages/cli/src/a.ts:1 imports "../../bowline/src/index.ts"',
      'test/interop/a.ts:1 imports "../../http2/frames.ts"',
    ];
    expect(problems(texts)).toEqual([...refused, 'bench/hpack.ts:1 imports "../http2/hpack/decoder.ts"']);
    expect(problems(texts, [{ from: "bench", to: ["http2/hpack"], why: "measures it alone" }])).toEqual(refused);
  });

  it("leaves tests beside their source alone", () => {
    expect(problems({ "rpc/a.test.ts": `import "../testing/clock.ts"; import "vitest";` })).toEqual([]);
  });
});
