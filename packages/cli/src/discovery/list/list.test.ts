import { once } from "node:events";
import { type Server as HttpServer, createServer as serveHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer, local, type Server, silentLogger } from "bowline";
import { afterEach, describe, expect, it } from "vitest";
import { recorder } from "../../../test/recorder.ts";
import { runDoctor } from "../doctor/doctor.ts";
import { runWatch } from "../watch/watch.ts";
import { runList } from "./list.ts";

const FLAGS = { timeout: 5_000, health: false } as const;
const servers: (Server | HttpServer)[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A namespace of the embedded registry with one server for each name; its URL. */
async function namespaceWith(...names: readonly string[]): Promise<string> {
  const namespace = `cli-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const registry = local({ namespace });
  const started = names.map((name) => createServer({ name, listen: "127.0.0.1:0", registry, logger: silentLogger }));
  servers.push(...started);
  await Promise.all(started.map((server) => server.start()));
  return `local://${namespace}`;
}

/** No answer at all. */
const HOLD = Symbol("hold");

/** What a Consul of a test answers, by path; anything else it does not know. Its URL. */
async function consulWith(answers: Readonly<Record<string, unknown>>): Promise<string> {
  const server = serveHttp((request, response) => {
    const answer = answers[new URL(request.url ?? "/", "http://consul").pathname];
    // A question about a change is held until the end.
    if (answer === HOLD || request.url?.includes("index=7") === true) return;
    response.writeHead(answer === undefined ? 403 : 200, { "x-consul-index": "7" });
    response.end(answer === undefined ? "Permission denied" : JSON.stringify(answer));
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `consul://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const entry = (id: string, port: number): object => ({
  Node: { Address: "10.0.0.7" },
  Service: { ID: id, Service: "user.rpc", Address: "10.0.0.7", Port: port, Tags: [], Meta: {} },
  Checks: [],
});
const BAD_ENTRIES = [entry("a", 8080), entry("b", 0), entry("c", 99_999)];

describe("bowline ls of a registry", () => {
  it("lists its services with the number of their instances", async () => {
    const registry = await namespaceWith("user.rpc", "user.rpc", "order.rpc");
    const terminal = recorder();
    await runList([registry], FLAGS, terminal);
    expect(terminal.out.split("\n")).toEqual([
      expect.stringMatching(/^SERVICE +INSTANCES +TARGET$/),
      expect.stringMatching(new RegExp(`^order\\.rpc +1 +${registry}/order\\.rpc$`)),
      expect.stringMatching(new RegExp(`^user\\.rpc +2 +${registry}/user\\.rpc$`)),
      "",
    ]);
    const json = recorder();
    await runList([registry, `${registry}/order.rpc`], { ...FLAGS, json: true }, json);
    expect(JSON.parse(json.out)).toMatchObject([
      { registry, service: "order.rpc", target: `${registry}/order.rpc`, instances: 1, draining: 0, skipped: 0 },
      { service: "user.rpc", instances: 2 },
      { target: `${registry}/order.rpc`, state: "ready" },
    ]);
  });

  it("counts the entries that are skipped, and says why they are", async () => {
    const consul = await consulWith({
      "/v1/catalog/services": { "user.rpc": [] },
      "/v1/health/service/user.rpc": BAD_ENTRIES,
    });
    const terminal = recorder();
    await runList([consul], FLAGS, terminal);
    expect(terminal.out).toMatch(/user\.rpc +1 \(2 skipped\) /);
    expect(terminal.err).toMatch(/user\.rpc: 2 entries skipped: consul registry: service "user\.rpc": /);
  });

  it("tells in --json what is skipped of a target", async () => {
    const consul = await consulWith({ "/v1/health/service/user.rpc": BAD_ENTRIES });
    const target = `${consul}/user.rpc`;
    const terminal = recorder();
    await runList([target], { ...FLAGS, json: true }, terminal);
    expect(JSON.parse(terminal.out)).toMatchObject([
      { target, state: "ready" },
      { target, skipped: 2, complaints: [expect.stringContaining('service "user.rpc"')] },
    ]);
  });

  it("says what keeps it from counting, and lists the rest", async () => {
    const consul = await consulWith({
      "/v1/catalog/services": { "order.rpc": [], "user.rpc": [] },
      "/v1/health/service/user.rpc": [entry("a", 8080)],
    });
    const terminal = recorder();
    await runList([consul], { ...FLAGS, timeout: 1_000 }, terminal);
    expect(terminal.out).toMatch(/order\.rpc +\? .*\nuser\.rpc +1 /);
    expect(terminal.err).toMatch(/order\.rpc: .*can't be looked up: .*403/);
  });

  it("says that there are none, that it can't be asked, and that a target is none", async () => {
    const empty = `local://cli-${process.pid}-empty`;
    const terminal = recorder();
    await runList([empty], FLAGS, terminal);
    expect(terminal).toMatchObject({ out: "", err: `${empty} has no services\n\n` });
    const consul = await consulWith({});
    await expect(runList([consul], FLAGS, terminal)).rejects.toMatchObject({
      message: expect.stringMatching(/^the services of consul:.* can't be listed: .*403/),
      hint: expect.stringContaining("CONSUL_HTTP_TOKEN"),
    });
    const silent = await consulWith({ "/v1/catalog/services": HOLD });
    await expect(runList([silent], { ...FLAGS, timeout: 100 }, terminal)).rejects.toMatchObject({
      message: `the services of ${silent} can't be listed: no answer within 100 ms`,
      hint: expect.stringContaining("--timeout"),
    });
    await expect(runList(["etdc://a:1"], FLAGS, terminal)).rejects.toThrow(/did you mean etcd/);
  });

  it("is what a command without a service is referred to", async () => {
    const terminal = recorder();
    const expected = { hint: "bowline ls etcd://a:1 lists the services there." };
    await expect(runDoctor("etcd://a:1", FLAGS, terminal)).rejects.toMatchObject(expected);
    const watching = runWatch("etcd://a:1", {}, terminal, AbortSignal.abort());
    await expect(watching).rejects.toMatchObject(expected);
    await expect(runDoctor("http://a:1", FLAGS, terminal)).rejects.toMatchObject({ hint: undefined });
  });
});

describe("a service that nobody has", () => {
  it("brings those to mind whose names look alike", async () => {
    const registry = await namespaceWith("user.rpc", "order.rpc");
    const terminal = recorder();
    await expect(runDoctor(`${registry}/usr.rpc`, FLAGS, terminal)).rejects.toMatchObject({
      message: expect.stringContaining("has no instances: the registry answers"),
      hint: `Did you mean user.rpc? All that there are: bowline ls ${registry}`,
    });
    await runList([`${registry}/billing.rpc`], FLAGS, terminal);
    expect(terminal.err).toContain(`option name. All that there are: bowline ls ${registry}`);
  });

  it("is told from one whose entries can't be used", async () => {
    const consul = await consulWith({ "/v1/health/service/user.rpc": [entry("b", 0)] });
    const terminal = recorder();
    await expect(runDoctor(`${consul}/user.rpc`, FLAGS, terminal)).rejects.toThrow(
      /has no instances that can be used$/,
    );
    expect(terminal.out).toMatch(/✗ 1 entry skipped: consul registry/);
  });

  it("is only itself where the list of services may not be read", async () => {
    const consul = await consulWith({ "/v1/health/service/user.rpc": [] });
    const terminal = recorder();
    await expect(runDoctor(`${consul}/user.rpc`, FLAGS, terminal)).rejects.toMatchObject({
      hint: "Compare the name with createServer's option name.",
    });
  });
});
