import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, type Server, Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accepted, answer, NetBench, PREFACE, released } from "../../test/net-bench.ts";
import { dial } from "./dial.ts";
import { ListenError } from "./listen-error.ts";

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

async function listenFailure(target: string): Promise<ListenError> {
  try {
    await bench.listen(target);
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  }
  throw new Error(`${target} was free`);
}

describe("listen", () => {
  it("takes any free port for port 0, and says which", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    expect(listener.port).toBeGreaterThan(0);
    expect(listener.address).toBe(`127.0.0.1:${listener.port}`);
  });

  it("loses no connection that comes before it is told that it listens, as a worker's may", async () => {
    const early = new Socket({ allowHalfOpen: true });
    const listens = (message: unknown): void => {
      const { server } = message as { readonly server: Server };
      server.emit("connection", early);
    };
    subscribe("tracing:net.server.listen:asyncEnd", listens);
    const listener = await bench.listen("127.0.0.1:0");
    unsubscribe("tracing:net.server.listen:asyncEnd", listens);
    expect(listener.connections).toBe(1);
    early.destroy();
  });

  it("takes objects as well as text", async () => {
    const listener = await bench.listen({ host: "::1", port: 0 });
    expect(listener.address).toBe(`[::1]:${listener.port}`);
    const path = bench.path("s");
    expect(await bench.listen({ path })).toMatchObject({ address: `unix:${path}`, port: 0 });
  });

  it("serves IPv4 and IPv6 when no host is named, and shows IPv4 peers as such", async () => {
    const listener = await bench.listen(":0");
    for (const host of ["127.0.0.1", "[::1]"]) {
      const { link } = bench.record(await dial(`${host}:${listener.port}`, { clock: bench.clock }));
      link.write(PREFACE);
      const server = await bench.links.next();
      expect(server.link.peer.remoteAddress).toBe(link.peer.localAddress);
      expect(server.link.peer.remoteAddress.startsWith(host)).toBe(true);
    }
    expect(listener.connections).toBe(2);
  });

  it("refuses options out of range", async () => {
    await expect(bench.listen("127.0.0.1:0", { maxConnections: 0 })).rejects.toThrow(
      "maxConnections is 0; give a whole number",
    );
    await expect(bench.listen("127.0.0.1:0", { handshakeTimeoutMs: 0.5 })).rejects.toThrow(RangeError);
  });

  describe("says in one sentence what is wrong:", () => {
    it("an address that is none", async () => {
      const error = await listenFailure("localhost");
      expect(error.kind).toBe("address");
      expect(error.message).toMatch(/^cannot listen on localhost: .*the port is missing/);
    });

    it("an address of another machine", async () => {
      const error = await listenFailure("192.0.2.1:0");
      expect(error.kind).toBe("address");
      expect(error.message).toMatch(/this machine has no address 192\.0\.2\.1; listen on 0\.0\.0\.0/);
    });

    it("a taken port, and by whom", async () => {
      const { address, port } = await bench.listen("127.0.0.1:0");
      const error = await listenFailure(address);
      expect(error.kind).toBe("in-use");
      const owner = process.platform === "linux" ? `process ${process.pid} \\(.+\\)` : "another process .*";
      expect(error.message).toMatch(
        new RegExp(`^cannot listen on ${address}: port ${port} is taken by ${owner}; stop it or use another port`),
      );
    });

    it("a Unix socket that is served, and by whom", async () => {
      const { address } = await bench.listen(`unix:${bench.path("s")}`);
      const error = await listenFailure(address);
      expect(error.kind).toBe("in-use");
      const owner = process.platform === "linux" ? `process ${process.pid} ` : "another process";
      expect(error.message).toContain(owner);
      expect(error.message).toMatch(/serves this socket already; stop it or use another path$/);
    });

    it("a file that is no socket", async () => {
      writeFileSync(bench.path("file"), "precious");
      const error = await listenFailure(`unix:${bench.path("file")}`);
      expect(error.message).toMatch(/there is a file of that name which is no socket; remove it or use another path$/);
      expect(readFileSync(bench.path("file"), "utf8")).toBe("precious");
    });

    it("a directory that is missing", async () => {
      const error = await listenFailure(`unix:${bench.path("no/s")}`);
      expect(error.message).toMatch(/there is no directory .*no; create it$/);
    });
  });

  it("replaces the socket file of a server that was killed", async () => {
    const path = bench.path("s");
    const script = 'require("net").createServer().listen(process.argv[1], () => process.stdout.write("up"))';
    const killed = spawn(process.execPath, ["-e", script, path], { stdio: ["ignore", "pipe", "inherit"] });
    await once(killed.stdout, "data");
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(statSync(path).isSocket()).toBe(true);
    await bench.listen(`unix:${path}`);
    bench.record(await dial(`unix:${path}`, { clock: bench.clock }));
  });

  it("stops accepting at once, keeps what it has, and removes a Unix socket's file", async () => {
    const path = bench.path("s");
    const listener = await bench.listen(`unix:${path}`);
    const { link, handler } = bench.record(await dial(`unix:${path}`, { clock: bench.clock }));
    link.write(PREFACE);
    const server = await bench.links.next();
    listener.stopAccepting();
    listener.stopAccepting();
    expect(existsSync(path)).toBe(false);
    await expect(dial(`unix:${path}`, { clock: bench.clock })).rejects.toMatchObject({ kind: "refused" });
    server.link.write(Buffer.from("still here"));
    await handler.untilText("still here");
    expect(listener.connections).toBe(1);
  });

  it("still hands on a connection that had not said what it speaks when accepting stopped", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const { link } = bench.record(await dial(listener.address, { clock: bench.clock }));
    link.write(PREFACE.subarray(0, 5));
    await accepted(listener);
    listener.stopAccepting();
    link.write(PREFACE.subarray(5));
    const { handler } = await bench.links.next();
    await handler.until(() => handler.bytes.equals(PREFACE));
  });

  it("destroys all connections when closed", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const silent = bench.record(await dial(listener.address, { clock: bench.clock }));
    const speaking = bench.record(await dial(listener.address, { clock: bench.clock }));
    speaking.link.write(PREFACE);
    const server = await bench.links.next();
    await listener.close();
    await Promise.all([silent, speaking, server].map(({ handler }) => handler.untilEvent("closed")));
    expect(listener.connections).toBe(0);
  });

  it("takes no more connections than allowed, and counts those it refused", async () => {
    const listener = await bench.listen("127.0.0.1:0", { maxConnections: 2 });
    const [first] = [bench.client(listener), bench.client(listener)];
    await accepted(listener, 2);
    expect((await answer(bench.client(listener))).length).toBe(0);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "too-many-connections",
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      text: expect.stringContaining("2 connections are open; raise maxConnections"),
    });
    expect(listener.refusedConnections).toBe(1);
    first.destroy();
    await released(listener, 1);
    const { link } = bench.record(await dial(listener.address, { clock: bench.clock }));
    link.write(PREFACE);
    await bench.links.next();
  });

  it("survives running out of file descriptors", async () => {
    const program = join(import.meta.dirname, "../../test/exhausted-listener.ts");
    const child = spawn("sh", ["-c", `ulimit -n 40 && exec "$0" "$1"`, process.execPath, program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const port = Number((await lines.next()).value);
    const sockets = Array.from({ length: 60 }, () => bench.keep(connect({ port, host: "127.0.0.1" })));
    // The system closes what it can't hand over.
    await Promise.race(sockets.map((socket) => once(socket.resume(), "end")));
    const connections = async (): Promise<number> => {
      child.stdin.write("?\n");
      return Number((await lines.next()).value);
    };
    expect(await connections()).toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
    // Until it has seen them go, it has no descriptor for another.
    while ((await connections()) > 0);
    const { link, handler } = bench.record(await dial(`127.0.0.1:${port}`, { clock: bench.clock }));
    link.write(PREFACE);
    await handler.untilText("hello");
    child.stdin.end();
    expect(await exited).toEqual([0, null]);
  });
});
