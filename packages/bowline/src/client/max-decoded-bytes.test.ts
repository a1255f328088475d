import type { ListValue } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { collect } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import type { Codec } from "../codec/codec.ts";
import { ListValueCodec } from "../gen/google/protobuf/struct_rpc.ts";
import { silentLogger } from "../observe/logger.ts";
import { Code } from "../rpc/code.ts";
import type { Method, MethodKind, Service } from "../rpc/method.ts";
import { createServer } from "../server/create-server.ts";
import { createClient } from "./create-client.ts";

interface Lists {
  give(list: object): Promise<ListValue>;
  follow(list: object): AsyncIterable<ListValue>;
}

interface ListHandlers {
  give(list: ListValue): Promise<object>;
  follow(list: ListValue): AsyncIterable<object>;
}

function method(name: string, kind: MethodKind): Method {
  const codec = ListValueCodec as Codec<unknown>;
  const path = `/list.v1.Lists/${name}`;
  return { name, localName: name.toLowerCase(), kind, path, idempotency: "unknown", input: codec, output: codec };
}

const Lists: Service<Lists, ListHandlers> = {
  typeName: "list.v1.Lists",
  methods: { give: method("Give", "unary"), follow: method("Follow", "server-stream") },
};

const listOf = (count: number): object => ({
  values: new Array(count).fill({ kind: { case: "nullValue", value: 0 } }),
});
const TOO_LARGE = "its objects would take more than 10000 bytes (maxDecodedBytes); send it in parts";

/** Answers with ten times what was asked. */
async function start(options: object) {
  const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, logger: silentLogger, ...options });
  server.add(Lists, {
    give: async ({ values }) => listOf(10 * values.length),
    follow: async function* ({ values }) {
      yield listOf(10 * values.length);
    },
  });
  await server.start();
  return server;
}

describe("maxDecodedBytes", () => {
  it.each(["proto", "json"] as const)("bounds requests of a server, in %s", async (codec) => {
    await using server = await start({ maxDecodedBytes: 10_000 });
    await using client = createClient(Lists, server.address, { codec });
    expect((await client.give(listOf(2))).values).toHaveLength(20);
    for (const call of [() => client.give(listOf(1000)), () => collect(client.follow(listOf(1000)))]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, origin: "remote" });
      expect(error.text).toContain(TOO_LARGE);
    }
  });

  it.each(["proto", "json"] as const)("bounds answers of a client, in %s", async (codec) => {
    await using server = await start({});
    await using client = createClient(Lists, server.address, { codec, maxDecodedBytes: 10_000, logger: silentLogger });
    await using roomy = createClient(Lists, server.address, { codec });
    expect((await client.give(listOf(2))).values).toHaveLength(20);
    for (const call of [() => client.give(listOf(100)), () => collect(client.follow(listOf(100)))]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, origin: "local", reason: "limit" });
      expect(error.text).toContain(TOO_LARGE);
    }
    expect((await roomy.give(listOf(100))).values).toHaveLength(1000);
  });

  it("takes a whole number of bytes", () => {
    expect(() => createServer({ maxDecodedBytes: 0.5 })).toThrow("createServer options.maxDecodedBytes is 0.5");
    expect(() => createClient(Lists, "127.0.0.1:1", { maxDecodedBytes: -1 })).toThrow("options.maxDecodedBytes is -1");
  });
});
