import { describe, expect, it } from "vitest";
import { readText } from "../repository.ts";
import { optionDocs } from "./option-docs.ts";

const SRC = "packages/bowline/src";

/** Interfaces that users fill or read, and the page of the guide that names all of their members. */
const DESCRIBED: readonly [file: string, interfaceName: string, page: string][] = [
  ["server/server-options.ts", "ServerOptions", "server.md"],
  ["server/server-options.ts", "ServerKeepaliveOptions", "server.md"],
  ["server/server-context.ts", "ServerContext", "server.md"],
  ["client/client-options.ts", "ClientOptions", "client.md"],
  ["client/client-options.ts", "KeepaliveOptions", "client.md"],
  ["client/pipeline.ts", "RetryPolicy", "client.md"],
  ["client/call-options.ts", "CallOptions", "client.md"],
  ["net/tls/tls-files.ts", "TlsSettings", "tls.md"],
  ["rpc/rpc-error.ts", "RpcErrorOptions", "errors.md"],
];

describe("the guide", () => {
  it.each(DESCRIBED)("names every member of %s %s in %s", (file, interfaceName, page) => {
    const text = readText(`docs/guide/${page}`);
    const names = optionDocs(readText(`${SRC}/${file}`), interfaceName).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !new RegExp(`[\`.]${name}\\b|\\b${name}:`).test(text))).toEqual([]);
  });

  it("has a row for every reason of an error", () => {
    const union = /export type RpcErrorReason =([^;]*);/.exec(readText(`${SRC}/rpc/rpc-error.ts`))?.[1] ?? "";
    const reasons = [...union.matchAll(/"([a-z-]+)"/g)].map(([, reason]) => reason);
    expect(reasons.length).toBeGreaterThan(5);
    const text = readText("docs/guide/errors.md");
    expect(reasons.filter((reason) => !text.includes(`| \`${reason}\` `))).toEqual([]);
  });
});
