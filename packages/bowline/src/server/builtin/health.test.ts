import { describe, expect, it } from "vitest";
import { failure, type ServerScene, useScenes } from "../../../test/server/server-scene.ts";
import { type Client, createClient } from "../../client/create-client.ts";
import { HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health_pb.ts";
import { type HealthClient, Health as HealthRpc } from "../../gen/grpc/health/v1/health_rpc.ts";
import { Code } from "../../rpc/code.ts";
import type { ServerOptions } from "../server-options.ts";
import { Health } from "./health.ts";

const scenes = useScenes();

async function start(options?: ServerOptions): Promise<{ scene: ServerScene; client: Client<HealthClient> }> {
  const scene = await scenes.start({}, options);
  const client = createClient(HealthRpc, scene.server.address, { timeoutMs: 0 });
  scene.onClose(() => client.close());
  return { scene, client };
}

/** A watch, status by status. */
function watch(client: Client<HealthClient>, service: string): () => Promise<Serving | undefined> {
  const statuses = client.watch({ service })[Symbol.asyncIterator]();
  return async () => (await statuses.next()).value?.status;
}

describe("grpc.health.v1 Check", () => {
  it("knows the whole and each service", async () => {
    const { scene, client } = await start();
    expect(await client.check({})).toMatchObject({ status: Serving.SERVING });
    expect(await client.check({ service: "text.v1.Text" })).toMatchObject({ status: Serving.SERVING });
    scene.server.health.set("text.v1.Text", "NOT_SERVING");
    expect(await client.check({ service: "text.v1.Text" })).toMatchObject({ status: Serving.NOT_SERVING });
    expect(await client.check({})).toMatchObject({ status: Serving.SERVING });
  });

  it("is NOT_FOUND for a service that is not here", async () => {
    const { client } = await start();
    expect(await failure(client.check({ service: "user.v1.User" }))).toMatchObject({
      code: Code.NOT_FOUND,
      text: 'unknown service "user.v1.User"',
    });
  });

  it("keeps what was said before the start", async () => {
    const scene = scenes.make();
    scene.server.health.set("text.v1.Text", "NOT_SERVING");
    scene.server.health.set("database", "NOT_SERVING");
    await scene.server.start();
    const client = createClient(HealthRpc, scene.server.address);
    scene.onClose(() => client.close());
    for (const service of ["text.v1.Text", "database"]) {
      expect(await client.check({ service })).toMatchObject({ status: Serving.NOT_SERVING });
    }
  });

  it("is left out on demand", async () => {
    const { client } = await start({ health: false });
    expect(await failure(client.check({}))).toMatchObject({ code: Code.UNIMPLEMENTED });
  });
});

describe("grpc.health.v1 List", () => {
  it("gives all names with their status", async () => {
    const { scene, client } = await start({ reflection: false });
    scene.server.health.set("database", "NOT_SERVING");
    const { statuses } = await client.list({});
    expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
      ["", Serving.SERVING],
      ["text.v1.Text", Serving.SERVING],
      ["grpc.health.v1.Health", Serving.SERVING],
      ["database", Serving.NOT_SERVING],
    ]);
  });

  it("is refused with RESOURCE_EXHAUSTED for more than 100", async () => {
    const { scene, client } = await start();
    for (let i = 0; i < 100; i++) scene.server.health.set(`part ${i}`, "SERVING");
    expect(await failure(client.list({}))).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
  });
});

describe("grpc.health.v1 Watch", () => {
  it("gives the status now and after each change, and no status twice", async () => {
    const { scene, client } = await start();
    const { health } = scene.server;
    const next = watch(client, "text.v1.Text");
    expect(await next()).toBe(Serving.SERVING);
    health.set("text.v1.Text", "SERVING");
    health.set("", "NOT_SERVING");
    health.set("text.v1.Text", "NOT_SERVING");
    expect(await next()).toBe(Serving.NOT_SERVING);
    health.set("text.v1.Text", "SERVING");
    expect(await next()).toBe(Serving.SERVING);
  });

  it("says SERVICE_UNKNOWN of a service until there is one", async () => {
    const { scene, client } = await start();
    const next = watch(client, "late");
    expect(await next()).toBe(Serving.SERVICE_UNKNOWN);
    scene.server.health.set("late", "NOT_SERVING");
    expect(await next()).toBe(Serving.NOT_SERVING);
    scene.server.health.set("late", "SERVING");
    expect(await next()).toBe(Serving.SERVING);
  });

  it("tells of the stop before the connection goes, then ends: watchers hold no stop up", async () => {
    const { scene, client } = await start({ drainTimeoutMs: 60_000, drainAcceptMs: 60_000 });
    const watches = ["", "text.v1.Text", "unknown"].map((service) => watch(client, service));
    await Promise.all(watches.map((next) => next()));
    const closed = scene.server.close();
    expect(await watches[0]()).toBe(Serving.NOT_SERVING);
    expect(await watches[1]()).toBe(Serving.NOT_SERVING);
    for (const next of watches) {
      expect(await failure(next())).toMatchObject({ code: Code.UNAVAILABLE, text: "the server is shutting down" });
    }
    await client.close();
    await closed;
  });

  it("forgets watchers that have gone", async () => {
    const { scene, client } = await start();
    for await (const _status of client.watch({ service: "" })) break;
    await scene.eventually(() => scene.server.stats.every((each) => each.inFlight === 0));
    expect(await client.check({})).toMatchObject({ status: Serving.SERVING });
  });
});

describe("health", () => {
  it("refuses a status that there is not", () => {
    expect(() => new Health().set("a", "OK" as never)).toThrow(
      new TypeError('health.set: status is "OK"; give "SERVING" or "NOT_SERVING"'),
    );
  });

  it("tells all listeners, and the log what one of them throws; the server closes", async () => {
    const { scene } = await start();
    const { health } = scene.server;
    const seen: unknown[] = [];
    const error = new Error("a bug");
    health.onChange(() => {
      throw error;
    });
    health.onChange(() => void seen.push(health.get("")));
    await scene.server.close();
    expect([scene.server.state, seen]).toEqual(["closed", ["NOT_SERVING"]]);
    expect(scene.log.lines).toEqual([
      { level: "error", text: "a listener of server.health.onChange has thrown", fields: { error } },
    ]);
  });

  it("changes no more once the server stops", () => {
    const health = new Health();
    health.start(["a"]);
    health.stop();
    health.set("a", "SERVING");
    health.set("b", "SERVING");
    expect([...health.all]).toEqual([
      ["", "NOT_SERVING"],
      ["a", "NOT_SERVING"],
    ]);
  });
});
