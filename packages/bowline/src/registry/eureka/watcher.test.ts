import { afterEach, describe, expect, it, vi } from "vitest";
import { type EurekaInstance, EurekaServer } from "../../../test/eureka-server.ts";
import { answerJson, answerText } from "../../../test/http-peer.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { Registry } from "../registry.ts";
import type { Applications, EurekaClient } from "./client.ts";
import { eureka } from "./eureka.ts";
import { completeEurekaOptions, type EurekaOptions } from "./options.ts";
import { EurekaDirectory } from "./watcher.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(): Promise<EurekaServer> {
  const server = await EurekaServer.start();
  closers.push(() => server.close());
  return server;
}

function open(servers: readonly EurekaServer[], options: Partial<EurekaOptions> = {}): Registry {
  const context = { clock: systemClock, random: () => 0.1, environment: {}, report: () => {} };
  const hosts = servers.map(({ address }) => address);
  const registry = eureka({ hosts, refreshSeconds: 0.1, ...options }).create(context);
  closers.push(() => registry.close());
  return registry;
}

const java = (id: string, app: string = "USER", status: string = "UP"): EurekaInstance => ({
  instanceId: id,
  app,
  ipAddr: `10.0.${Number(id) >> 8}.${Number(id) & 255}`,
  status,
  port: { $: 8080, "@enabled": "true" },
  metadata: {},
});

/** Waits for a condition that a request brings about. */
function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 30_000, interval: 2 });
}

describe("a watch of Eureka", () => {
  it("reads all once, and then what has changed", async () => {
    const server = await startServer();
    server.put(java("1"), java("2"), java("3", "ORDER"));
    server.changes = [];
    const seen = new WatchRecorder(open([server]), "user");
    await seen.untilIds("1", "2");
    server.put(java("4"));
    await seen.untilIds("1", "2", "4");
    server.remove("USER", "1");
    await seen.untilIds("2", "4");
    server.put(java("2", "USER", "OUT_OF_SERVICE"));
    await seen.until(({ instances }) => instances.some(({ state }) => state === "draining"));
    server.put(java("2", "USER", "DOWN"));
    await seen.untilIds("4");
    expect(server.questions[0]).toBe("all");
    expect(server.questions.slice(1).every((each) => each === "delta")).toBe(true);
    expect(seen.snapshots).toHaveLength(5);
  });

  it("reads all again when what came out of the changes is not what the server has", async () => {
    const server = await startServer();
    server.put(java("1"), java("2"));
    const seen = new WatchRecorder(open([server]), "user");
    await seen.untilIds("1", "2");
    // A change that this client has not heard of.
    server.changes = [];
    server.remove("USER", "1", false);
    await seen.untilIds("2");
    expect(server.questions.filter((each) => each === "all")).toHaveLength(2);
    expect(seen.snapshots).toHaveLength(2);
  });

  it("finds what a server's cache of deltas hides", async () => {
    const server = await startServer();
    server.put(java("1"));
    let isHiding = false;
    server.intercept = ({ path, response }) => {
      const isHidden = isHiding && path.endsWith("/delta");
      if (isHidden) answerJson(response, { applications: { apps__hashcode: "UP_1_", application: [] } });
      return isHidden;
    };
    const seen = new WatchRecorder(open([server]), "user");
    await seen.untilIds("1");
    isHiding = true;
    server.put(java("2"));
    await seen.untilIds("1", "2");
    server.remove("USER", "1");
    await seen.untilIds("2");
    isHiding = false;
    server.put(java("3"));
    await seen.untilIds("2", "3");
    expect(seen.snapshots).toHaveLength(4);
    expect(seen.failures).toEqual([]);
  });

  it("reads all each time where there are no deltas, or their hash never fits, and tells nothing that is not new", async () => {
    for (const isDisabled of [true, false]) {
      const server = await startServer();
      server.put(java("1"));
      if (isDisabled) {
        server.intercept = ({ path, response }) => {
          if (path.endsWith("/delta")) answerText(response, 403);
          return path.endsWith("/delta");
        };
      } else server.hash = "UP_77_";
      const seen = new WatchRecorder(open([server]), "user");
      await seen.untilIds("1");
      await until(() => server.questions.filter((each) => each === "all").length >= 3);
      server.put(java("2"));
      await seen.untilIds("1", "2");
      expect(seen.snapshots).toHaveLength(2);
      expect(seen.failures).toEqual([]);
    }
  });

  it("asks for deltas again some minutes after there were none", async () => {
    const clock = new VirtualClock();
    const asked: string[] = [];
    let hasChanges = false;
    const apps = { hash: "", apps: [] };
    const all = async (): Promise<Applications> => {
      asked.push("all");
      return apps;
    };
    const changes = async (): Promise<Applications | undefined> => {
      asked.push("delta");
      return hasChanges ? apps : undefined;
    };
    const one = async (): Promise<readonly unknown[]> => [];
    const client = { all, changes, one } as unknown as EurekaClient;
    const options = completeEurekaOptions({ hosts: "e", refreshSeconds: 30 }, {});
    const directory = new EurekaDirectory({ client, options, clock, random: () => 0 });
    const watcher = directory.watch("user", { snapshot: () => undefined, failed: () => undefined });
    await clock.advance(31_000);
    hasChanges = true;
    expect(asked).toEqual(["all", "delta", "all"]);
    await clock.advance(299_000);
    expect(asked.slice(3)).toEqual([...Array.from({ length: 9 }, () => "all"), "delta"]);
    await clock.advance(300_000);
    expect(asked.slice(13)).toEqual(Array.from({ length: 10 }, () => "delta"));
    watcher.close();
  });

  it("takes an instance that went and came within one delta for one that stayed", async () => {
    const server = await startServer();
    server.put(java("1"));
    const seen = new WatchRecorder(open([server]), "user");
    await seen.untilIds("1");
    server.remove("USER", "1");
    server.put(java("1"));
    const asked = server.questions.length;
    await until(() => server.questions.length >= asked + 3);
    server.put(java("2"));
    await seen.untilIds("1", "2");
    expect(seen.snapshots).toHaveLength(2);
  });

  it("reads all after an outage, which it tells as stale", async () => {
    const server = await startServer();
    server.put(java("1"));
    const seen = new WatchRecorder(open([server]), "user");
    await seen.untilIds("1");
    server.peer.goAway();
    await seen.until(({ freshness }) => freshness === "stale");
    await seen.untilFailure(/^eureka registry: GET \/apps/);
    server.remove("USER", "1", false);
    server.put(java("2"));
    server.peer.comeBack();
    const { revision } = await seen.untilIds("2");
    expect(revision).toBe(2);
    expect(seen.snapshots.map(({ freshness }) => freshness)).toEqual(["live", "stale", "live"]);
  });

  it("goes to the next server when one is away", async () => {
    const [first, second] = [await startServer(), await startServer()];
    for (const server of [first, second]) server.put(java("1"));
    const seen = new WatchRecorder(open([first, second]), "user");
    await seen.untilIds("1");
    first.peer.goAway();
    second.put(java("2"));
    await seen.untilIds("1", "2");
    expect(seen.failures).toEqual([]);
  });

  it("reads the JSON of older servers, where one stands alone and numbers are texts", async () => {
    const server = await startServer();
    server.isOldFormat = true;
    const seen = new WatchRecorder(open([server]), "user");
    await seen.until(({ instances }) => instances.length === 0);
    server.put(java("1"));
    await seen.untilIds("1");
  });

  it("serves all who watch by one question, and asks no more when nobody does", async () => {
    const server = await startServer();
    server.put(java("1"), java("2", "ORDER"));
    const [one, two] = [open([server], { refreshSeconds: 60 }), open([server], { refreshSeconds: 60 })];
    const watches = [new WatchRecorder(one, "user"), new WatchRecorder(one, "order"), new WatchRecorder(two, "user")];
    for (const seen of watches) await seen.until(({ instances }) => instances.length === 1);
    const late = new WatchRecorder(two, "order");
    await late.untilIds("2");
    expect(server.questions).toEqual(["all"]);
    await one.close();
    server.put(java("3"));
    watches[2].watcher.refresh();
    await watches[2].untilIds("1", "3");
    for (const seen of [watches[2], late]) seen.close();
    expect(server.questions).toEqual(["all", "delta"]);
    await new WatchRecorder(two, "user").untilIds("1", "3");
    expect(server.questions).toEqual(["all", "delta", "all"]);
  });

  it("gives others their turn while it reads 5,000 instances, and tells only those whose services have changed", async () => {
    const server = await startServer();
    for (let id = 0; id < 5000; id++) server.put(java(String(id), `APP-${id % 50}`));
    server.changes = [];
    const registry = open([server]);
    let turns = 0;
    let isDone = false;
    void (async () => {
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    const [seen, other] = [new WatchRecorder(registry, "app-0"), new WatchRecorder(registry, "app-1")];
    await seen.until(({ instances }) => instances.length === 100);
    isDone = true;
    expect(turns).toBeGreaterThan(20);
    const before = new Set(seen.last?.instances);
    server.remove("APP-0", "50");
    await seen.until(({ instances }) => instances.length === 99);
    expect(seen.last?.instances.every((instance) => before.has(instance))).toBe(true);
    expect(other.snapshots).toHaveLength(1);
    expect(server.questions.filter((each) => each === "all")).toHaveLength(1);
  });

  it.each<[string, (response: Parameters<typeof answerText>[0]) => void, RegExp]>([
    [
      "XML",
      (response) => answerText(response, 200, "<applications/>"),
      /answered with "<applications\/>" where JSON was expected/,
    ],
    [
      "other JSON",
      (response) => answerJson(response, {}),
      /JSON that has no applications; check that eureka\(…\)\.hosts is Eureka's API, with its path/,
    ],
    [
      "a wrong path",
      (response) => answerText(response, 404, "Not Found"),
      /write the path of its API behind the host, as in http:\/\/10\.0\.0\.1:8761\/eureka/,
    ],
    ["no user", (response) => answerText(response, 401), /set eureka\(…\)\.user and eureka\(…\)\.password/],
  ])("explains an answer that can't be used, and is not stopped by it: %s", async (_name, answer, message) => {
    const server = await startServer();
    server.put(java("1"));
    let isBad = true;
    server.intercept = ({ response }) => {
      if (isBad) answer(response);
      return isBad;
    };
    const seen = new WatchRecorder(open([server], { user: "u", password: "hunter2" }), "user");
    const error = await seen.untilFailure(message);
    expect(error.message).not.toContain("hunter2");
    isBad = false;
    seen.watcher.refresh();
    await seen.untilIds("1");
    expect(server.peer.requests[0].headers.authorization).toBe(`Basic ${btoa("u:hunter2")}`);
  });
});
