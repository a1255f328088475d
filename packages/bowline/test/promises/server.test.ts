// Server and ServerContext: what they are made of, how they are misused, how they end.
// Handlers: src/server/handlers.test.ts; start and close in detail: start.test.ts, close.test.ts there; health: builtin/health.test.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp1Server, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { Health as HealthDescriptor } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { Code } from "../../src/rpc/code.ts";
import { createServer } from "../../src/server/create-server.ts";
import type { ServerContext } from "../../src/server/server-context.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { failure, gate, heldSay, useScenes } from "../server/server-scene.ts";
import { collect, echo, TextService } from "../server/text-service.ts";
import { thrown, wrong } from "./refusals.ts";

const scenes = useScenes();

describe("server.add", () => {
  it("tells the service that describes messages from the one that can be served", () => {
    const handlers = { check() {}, list() {}, watch() {} };
    const server = createServer({ health: false });
    expect(thrown(() => server.add(wrong(HealthDescriptor), handlers))).toBe(
      "TypeError: server.add: grpc.health.v1.Health has no methods that can be called; give the service from the file " +
        "that ends with _rpc.ts, which `bowline generate` writes beside the _pb.ts",
    );
    expect(thrown(() => server.add(wrong({ typeName: "a", methods: null }), {}))).toContain(
      "must be a generated service",
    );
  });

  it("leaves the server as it was when it throws: the right handlers can still be added", async () => {
    const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0 });
    expect(thrown(() => server.add(TextService, wrong({ ...echo, sya: echo.say })))).toContain("did you mean say?");
    expect(thrown(() => server.add(TextService, wrong({ say: echo.say })))).toContain("is missing");
    expect(await server.add(TextService, echo).start()).toBe(server);
    await server.close();
  });

  it("after the start, a failed start, or the end is an Error", async () => {
    const { server } = await scenes.start();
    const text = "Error: server.add(text.v1.Text): add services before start()";
    expect(thrown(() => server.add(TextService, echo))).toBe(text);
    await server.close();
    expect(thrown(() => server.add(TextService, echo))).toBe(text);
    const failing = scenes.make({}, { ready: () => Promise.reject(new Error("no")) });
    await expect(failing.server.start()).rejects.toThrow("no");
    expect(thrown(() => failing.server.add(TextService, echo))).toBe(text);
  });

  it("twice for one service is a TypeError, also by another object of the same name", () => {
    const server = createServer().add(TextService, echo);
    expect(thrown(() => server.add({ ...TextService }, echo))).toBe(
      "TypeError: server.add(text.v1.Text): this service was added before",
    );
  });
});

describe("server.start", () => {
  it("while it starts, serves, stops, or after that rejects and says in which state it is", async () => {
    const ready = gate();
    const running = gate();
    const scene = scenes.make({ say: heldSay(running) }, { ready: () => ready.opened, drainTimeoutMs: 60_000 });
    const { server } = scene;
    const again = async (): Promise<string> => String(await server.start().catch((error: unknown) => error));
    const started = server.start();
    expect(await again()).toBe("Error: server.start(): the server is starting already");
    ready.open();
    await started;
    expect(await again()).toBe("Error: server.start(): the server is serving already");
    const client = scene.client();
    const outcome = failure(client.say("x"));
    await running.opened;
    const closed = server.close();
    expect(await again()).toBe("Error: server.start(): the server is draining already");
    await client.close();
    await outcome;
    await closed;
    expect(await again()).toBe("Error: server.start(): the server is closed already");
  });

  it("on a port in use rejects with who has it, and closes the server; a new one may try again", async () => {
    const holder = await scenes.start();
    const { server } = scenes.make({}, { listen: holder.server.address });
    const error = String(await server.start().catch((reason: unknown) => reason));
    expect(error).toContain(
      `cannot listen on ${holder.server.address}: port ${holder.server.port} is taken by process`,
    );
    expect([server.state, server.address, server.port]).toEqual(["closed", "", 0]);
    const { address } = holder.server;
    await holder.server.close();
    const next = await scenes.start({}, { listen: address });
    expect(await next.client().say("x")).toBe("x");
  });

  it("on a Unix socket that is served rejects, and the one that has it goes on", async () => {
    const directory = mkdtempSync(join(tmpdir(), "bowline-"));
    const listen = `unix:${join(directory, "text.sock")}`;
    try {
      const holder = await scenes.start({}, { listen });
      expect([holder.server.address, holder.server.port]).toEqual([listen, 0]);
      await expect(scenes.make({}, { listen }).server.start()).rejects.toThrow(/cannot listen on unix:.*text\.sock/);
      expect(await holder.client().say("x")).toBe("x");
      await holder.server.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("a server", () => {
  it("tells its state, what was bound, its connections and its layers", async () => {
    const scene = scenes.make();
    const { server } = scene;
    expect([server.state, server.address, server.addresses, server.port, server.connectionCount]).toEqual([
      "new",
      "",
      [],
      0,
      0,
    ]);
    expect(server.describe().split("\n")[0]).toMatch(/^recover {2}/);
    await server.start();
    expect([server.state, server.addresses]).toEqual(["serving", [`127.0.0.1:${server.port}`]]);
    await scene.client().say("x");
    expect(server.connectionCount).toBe(1);
    expect(server.stats.find(({ method }) => method === "/text.v1.Text/Say")).toMatchObject({
      started: 1,
      inFlight: 0,
    });
    await server.close();
    expect([server.state, server.connectionCount]).toEqual(["closed", 0]);
  });

  it("close before start is the end: it can't be started", async () => {
    const { server } = scenes.make();
    await server.close();
    expect(server.state).toBe("closed");
    await expect(server.start()).rejects.toThrow("server.start(): the server is closed already");
    expect(server.close()).toBe(server.close());
  });

  it("is closed by `await using`", async () => {
    const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0 });
    {
      await using running = await server.add(TextService, echo).start();
      expect(running.state).toBe("serving");
    }
    expect(server.state).toBe("closed");
  });

  it("answers HTTP/1 with 404 and a hint, and counts it by its name", async () => {
    const scene = await scenes.start();
    const status = await new Promise((resolve, reject) => {
      get({ port: scene.server.port, host: "127.0.0.1", agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).once("error", reject);
    });
    expect(status).toBe(404);
    expect(scene.server.misbehaved).toEqual(new Map([["http1", 1]]));
  });

  it("that is no gRPC server is told apart by the client: HTTP/1", async () => {
    const http = createHttp1Server((_request, response) => response.end("hello"));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const { port } = http.address() as { port: number };
    try {
      await using client = createClient(TextService, `127.0.0.1:${port}`);
      const error = await failure(client.say("x"));
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, sent: false });
      expect(error.text).toMatch(/HTTP\/1/);
    } finally {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    }
  });
});

describe("a handler's context", () => {
  /** The context of one call, looked at while it runs. */
  async function seen<T>(look: (context: ServerContext) => T, options: { timeoutMs?: number } = {}): Promise<T> {
    let result: T | undefined;
    const clock = new VirtualClock();
    const scene = await scenes.start(
      {
        say: (text, context) => {
          result = look(context);
          return text;
        },
      },
      { clock },
    );
    await scene.client().say("x", { metadata: { a: "b" }, ...options });
    return result as T;
  }

  it("has the method's path, the client's metadata and who called", async () => {
    const { method, metadata, peer } = await seen(({ method, metadata, peer }) => ({ method, metadata, peer }));
    expect(method).toBe("/text.v1.Text/Say");
    expect(metadata.get("a")).toBe("b");
    expect([...metadata].map(([key]) => key).sort()).toEqual(["a", "traceparent", "user-agent"]);
    expect(peer.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(peer.tls).toBeUndefined();
  });

  it("has a deadline as date and as time left, or neither", async () => {
    const look = ({ deadline, timeRemainingMs }: ServerContext) => ({ deadline, timeRemainingMs });
    expect(await seen(look, { timeoutMs: 0 })).toEqual({ deadline: undefined, timeRemainingMs: undefined });
    const before = Date.now();
    const { deadline, timeRemainingMs } = await seen(look, { timeoutMs: 60_000 });
    expect(timeRemainingMs).toBeGreaterThan(50_000);
    expect(timeRemainingMs).toBeLessThanOrEqual(60_000);
    expect(deadline).toBeInstanceOf(Date);
    expect((deadline as Date).getTime()).toBeGreaterThan(before + 50_000);
  });

  it("refuses what is put into the header after the first message; the trailer is open until the end", async () => {
    const scene = await scenes.start({
      async *repeat(text, context) {
        context.header.set("early", "1");
        yield text;
        expect(() => context.header.set("late", "1")).toThrow("after it had been sent");
        context.trailer.set("end", "1");
        yield text;
      },
    });
    const got: string[] = [];
    const note = (metadata: Iterable<[string, unknown]>): void => void got.push(...[...metadata].map(([key]) => key));
    await collect(scene.client().repeat("x", { onHeader: note, onTrailer: note }));
    expect(got).toEqual(["early", "end"]);
  });

  it("refuses metadata that belong to gRPC where they are set: the handler has the TypeError", async () => {
    const scene = await scenes.start({
      say: (text, context) => {
        expect(thrown(() => context.header.set("grpc-status", "0"))).toContain("belongs to gRPC");
        expect(thrown(() => context.trailer.append("a b", "0"))).toContain("is not allowed");
        return text;
      },
    });
    expect(await scene.client().say("x")).toBe("x");
  });

  it("has a signal that is aborted with an RpcError when the connection breaks", async () => {
    const aborted = gate<unknown>();
    const scene = await scenes.start({
      say: (_text, { signal }) => {
        signal.addEventListener("abort", () => aborted.open(signal.reason));
        return new Promise(() => {});
      },
    });
    const client = scene.client();
    const call = failure(client.say("x"));
    await scene.eventually(() => scene.server.stats[0].inFlight === 1);
    await client.close();
    expect(await aborted.opened).toMatchObject({ name: "RpcError", code: Code.CANCELLED });
    await call;
  });
});
