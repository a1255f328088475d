import { once } from "node:events";
import { type AddressInfo, createServer as listen, type Server as NetServer, type Socket } from "node:net";
import { createServer, local, type Server, silentLogger } from "bowline";
import { afterEach, describe, expect, it } from "vitest";
import { recorder } from "../../test/recorder.ts";
import { workspaceFolder } from "../../test/workspace-folder.ts";
import { runDoctor } from "./doctor/doctor.ts";
import { runList } from "./list/list.ts";
import { lookUp, withScheme } from "./registry/look-up.ts";
import { changesBetween, runWatch } from "./watch/watch.ts";

const FLAGS = { timeout: 5_000 } as const;
const servers: (Server | NetServer)[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A server of ours in the embedded registry of this user, under a name of its own. */
async function served(name: string): Promise<Server> {
  const server = createServer({ name, listen: "127.0.0.1:0", registry: local(), logger: silentLogger });
  servers.push(server);
  await server.start();
  return server;
}

/** A port where something else answers; its address. */
async function something(answer: (socket: Socket) => void): Promise<string> {
  const server = listen((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    answer(socket);
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const uniqueName = (): string => `cli-${process.pid}-${servers.length}-${Math.random().toString(36).slice(2)}.rpc`;

it("a target with a setting that its registry does not have is given up at once", async () => {
  await expect(lookUp("consul://127.0.0.1:1/user.rpc?tagg=a", 600_000)).rejects.toThrow(
    /can't be looked up: target .* "tagg" is no setting of consul/,
  );
});

describe("bowline doctor", () => {
  it("tries each step with an instance in the embedded registry", async () => {
    const name = uniqueName();
    const { address } = await served(name);
    const terminal = recorder();
    await runDoctor(name, FLAGS, terminal);
    expect(terminal.out).toMatch(new RegExp(`^${name}  1 instance, live, looked up in \\d+ ms\n\n✓ ${address}  `));
    expect(terminal.out).toMatch(/tcp .* from 127\.0\.0\.1\n.*http2 .* SETTINGS received\n.*health .* SERVING\n$/);
  });

  it.each<[string, (socket: Socket) => void, RegExp]>([
    ["HTTP/1", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"), /ERR_HTTP1: .*"HTTP\/1\.1 400 Bad Request"/],
    ["TLS", (socket) => socket.end(Buffer.from([21, 3, 1, 0, 2, 2, 70])), /ERR_TLS_WANTED: the server expects TLS/],
    ["another protocol", (socket) => socket.write("220 mail ready\r\n"), /something else: "220 mail ready/],
    ["nothing and hangs up", (socket) => socket.end(), /ECONNRESET: the server closed .* it may expect TLS/],
  ])("says what speaks %s", async (_what, answer, seen) => {
    const terminal = recorder();
    const address = await something(answer);
    await expect(runDoctor(address, FLAGS, terminal)).rejects.toThrow("1 of 1 addresses can't be used as they are");
    expect(terminal.out).toMatch(seen);
    expect(terminal.out).toContain(`✗ ${address}`);
  });

  it("waits no longer than it may for one that says nothing", async () => {
    const terminal = recorder();
    const address = await something(() => undefined);
    await expect(runDoctor(address, { timeout: 50 }, terminal)).rejects.toThrow("1 of 1");
    expect(terminal.out).toMatch(/http2 .*ETIMEDOUT: no answer within 50 ms\n {4}something accepts connections/);
  });

  it("tells plaintext from TLS on both sides", async () => {
    const { address } = await served(uniqueName());
    const terminal = recorder();
    await expect(runDoctor(`${address}`, { ...FLAGS, tls: true }, terminal)).rejects.toThrow("1 of 1");
    expect(terminal.out).toContain("the server speaks no TLS");
  });

  it("prints all of it as one line of JSON", async () => {
    const address = await something((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const terminal = recorder();
    await expect(runDoctor(address, { ...FLAGS, json: true }, terminal)).rejects.toThrow();
    expect(JSON.parse(terminal.out)).toMatchObject({
      target: address,
      lookUp: { freshness: "live", complaints: [] },
      addresses: [{ address, steps: [{ name: "tcp", isOk: true }, { code: "ERR_HTTP1" }], diagnosis: {} }],
    });
  });

  it("tells a name that nobody has, a target that can't be, and files that are missing", async () => {
    const terminal = recorder();
    await expect(runDoctor(uniqueName(), FLAGS, terminal)).rejects.toMatchObject({
      message: expect.stringContaining("has no instances: the registry answers"),
      hint: expect.stringContaining("option name"),
    });
    await expect(runDoctor("a:b:c", FLAGS, terminal)).rejects.toThrow(/more than one colon/);
    const folder = await workspaceFolder();
    const missing = { ...FLAGS, tlsCa: `${folder}/ca.pem` };
    await expect(runDoctor("a:1", missing, terminal)).rejects.toThrow(/--tls-ca .*ca\.pem can't be read: ENOENT/);
    await expect(runDoctor("a:1", { ...FLAGS, tlsKey: "k.pem" }, terminal)).rejects.toThrow(/belong together/);
  });
});

describe("bowline ls", () => {
  it("lists instances of several services with their health", async () => {
    const [one, two] = [uniqueName(), uniqueName()];
    const first = await served(one);
    await served(two);
    const terminal = recorder();
    await runList([one, two], FLAGS, terminal);
    const [head, ...rows] = terminal.out.trimEnd().split("\n");
    expect(head).toMatch(/^SERVICE +ADDRESS +STATE +WEIGHT +ZONE +VERSION +HEALTH +INSTANCE$/);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatch(new RegExp(`^${one} +${first.address} +ready +1 +- +- +SERVING +${one}`));
  });

  it("says what keeps an instance from answering, or asks none", async () => {
    const address = await something((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const terminal = recorder();
    await runList([address], { ...FLAGS, json: true }, terminal);
    expect(JSON.parse(terminal.out)).toMatchObject([{ target: address, health: "http2 ERR_HTTP1", weight: 1 }]);
    const unasked = recorder();
    await runList([address], { ...FLAGS, health: false }, unasked);
    expect(unasked.out).not.toContain("ERR_HTTP1");
  });

  it("says so when nobody is there", async () => {
    const terminal = recorder();
    const name = uniqueName();
    await runList([name], FLAGS, terminal);
    expect(terminal).toMatchObject({ out: "", err: expect.stringContaining(`${name} has no instances`) });
  });
});

describe("bowline watch", () => {
  it("prints who comes and goes, until it is interrupted", async () => {
    const name = uniqueName();
    const terminal = recorder();
    const controller = new AbortController();
    const watching = runWatch(name, { json: true }, terminal, controller.signal);
    await terminal.seen('"kind":"empty"');
    const server = await served(name);
    await terminal.seen('"kind":"added"');
    await server.close();
    await terminal.seen('"kind":"removed"');
    controller.abort();
    await watching;
    for (const line of terminal.out.trimEnd().split("\n")) expect(JSON.parse(line)).toMatchObject({ target: name });
  });

  it("knows what changes, not only that something did", () => {
    const at = (id: string, weight = 1): never => ({ id, weight }) as never;
    expect(changesBetween([at("a"), at("b"), at("c")], [at("d"), at("b", 2), at("a")])).toEqual([
      { kind: "added", instance: at("d") },
      { kind: "changed", instance: at("b", 2), before: at("b") },
      { kind: "removed", instance: at("c") },
    ]);
  });
});

it("a bare name is one of the embedded registry; everything else is a client's target", async () => {
  expect(["user.rpc", "a:1", "localhost", "10.0.0.1", "etcd://h:1/a"].map(withScheme)).toEqual([
    "local:///user.rpc",
    "a:1",
    "localhost",
    "10.0.0.1",
    "etcd://h:1/a",
  ]);
  const { snapshot } = await lookUp("static:///a:1,b:2", 1_000);
  expect(snapshot.instances.map(({ id }) => id)).toEqual(["a:1", "b:2"]);
});
