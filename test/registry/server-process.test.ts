import { existsSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { freePorts, type ServerPlan, ServerProcess } from "./server-process.ts";

/** A server that notes in its folder how often it was started, and listens. */
const PROGRAM = `
  const fs = require("node:fs"), [file, port] = process.argv.slice(1);
  fs.appendFileSync(file, "x");
  require("node:net").createServer((socket) => socket.end(fs.readFileSync(file))).listen(Number(port), "127.0.0.1");
`;

/** What a server on a port says; rejects when there is none. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1").setEncoding("utf8");
    let text = "";
    socket.on("data", (part) => void (text += part));
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
  });
}

describe("a server process", () => {
  const open: ServerProcess[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.remove();
  });

  function plan(port: number): ServerPlan {
    return {
      program: process.execPath,
      args: (folder) => ["-e", PROGRAM, `${folder}/starts`, String(port)],
      isReady: async () => (await ask(port)) !== "",
    };
  }

  it("starts, stops, and starts again with what is in its folder, which it takes away at last", async () => {
    const [port] = await freePorts(1);
    const server = await ServerProcess.start(plan(port));
    open.push(server);
    expect(await ask(port)).toBe("x");
    const { pid } = server;
    await server.stop("SIGKILL");
    await expect(ask(port)).rejects.toThrow();
    expect([server.isRunning, existsSync(server.folder)]).toEqual([false, true]);
    await server.start();
    await server.start();
    expect(await ask(port)).toBe("xx");
    expect(server.pid).not.toBe(pid);
    await server.remove();
    expect([server.isRunning, existsSync(server.folder)]).toEqual([false, false]);
  });

  it("can be stopped while it stands still", async () => {
    const [port] = await freePorts(1);
    const server = await ServerProcess.start(plan(port));
    open.push(server);
    server.signal("SIGSTOP");
    await server.stop();
    expect(server.isRunning).toBe(false);
  });

  it("that ends before it is ready is told with what it printed", async () => {
    const program = process.execPath;
    const args = () => ["-e", "console.error('no such flag'); process.exit(1)"];
    const start = ServerProcess.start({ program, args, isReady: async () => false });
    await expect(start).rejects.toThrow(/ended before it was ready:\nno such flag/);
  });

  it("that can't be started is told with the reason", async () => {
    const start = ServerProcess.start({ program: "/nowhere/etcd", args: () => [], isReady: async () => false });
    await expect(start).rejects.toThrow(/\/nowhere\/etcd/);
  });
});

describe("free ports", () => {
  it("are all different", async () => {
    expect(new Set(await freePorts(20)).size).toBe(20);
  });
});
