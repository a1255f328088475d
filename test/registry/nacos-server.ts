import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerPlan, ServerProcess } from "./server-process.ts";

/** What Nacos adds to its main port: for its own consensus, for its clients' gRPC, for the gRPC between servers. */
const NEIGHBOURS = [-1000, 1000, 1001];
/** Where main ports are looked for: below the ports that systems give to outgoing connections, one of which could take a neighbour. */
const MAIN_PORTS = { from: 20_000, count: 10_000 };
/** On a busy machine its own data base may not open in the 10 s that Nacos allows for it. */
const MAX_STARTS = 3;

/** A real Nacos server, stand-alone and without users, on the loopback with data of its own. */
export class NacosServer {
  readonly address: string;
  readonly process: ServerProcess;
  readonly #home: string;

  private constructor(address: string, process: ServerProcess, home: string) {
    this.address = address;
    this.process = process;
    this.#home = home;
  }

  static async start(program: string): Promise<NacosServer> {
    const port = await freeMainPort();
    const address = `127.0.0.1:${port}`;
    const home = await mkdtemp(join(tmpdir(), "bowline-nacos-"));
    const flags = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-Dnacos.standalone=true", `-Dnacos.home=${home}`];
    const plan: ServerPlan = {
      program,
      args: () => [
        `--server.port=${port}`,
        "--server.servlet.context-path=/nacos",
        "--nacos.inetutils.ip-address=127.0.0.1",
        "--nacos.core.auth.enabled=false",
      ],
      env: { JAVA_OPTS: flags.join(" ") },
      isReady: () => isReady(address),
      readyWithinMs: 180_000,
    };
    try {
      return new NacosServer(address, await severalTimes(() => ServerProcess.start(plan)), home);
    } catch (error) {
      await rm(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** Starts it again after a stop; nothing happens while it runs. */
  restart(): Promise<void> {
    return severalTimes(() => this.process.start());
  }

  /** A request to its HTTP API; rejects for all but 2xx. */
  request(method: string, path: string, query: Readonly<Record<string, string>>): Promise<string> {
    return request(this.address, method, path, query);
  }

  /** Ends it and removes its data. */
  async remove(): Promise<void> {
    await this.process.remove();
    await rm(this.#home, { recursive: true, force: true });
  }
}

async function isReady(address: string): Promise<boolean> {
  const answer = await request(address, "GET", "/v1/ns/instance/list", { serviceName: "ready" });
  return answer.includes("hosts");
}

async function request(
  address: string,
  method: string,
  path: string,
  query: Readonly<Record<string, string>>,
): Promise<string> {
  const url = `http://${address}/nacos${path}?${new URLSearchParams(query)}`;
  const response = await fetch(url, { method, signal: AbortSignal.timeout(5000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text;
}

async function severalTimes<T>(start: () => Promise<T>): Promise<T> {
  for (let starts = 1; ; starts++) {
    try {
      return await start();
    } catch (error) {
      if (starts === MAX_STARTS) throw error;
    }
  }
}

/** One whose neighbours are free too; processes begin to look at different places. */
async function freeMainPort(): Promise<number> {
  const { from, count } = MAIN_PORTS;
  for (let tries = 0; tries < 100; tries++) {
    const port = from + ((process.pid * 7 + tries * 3) % count);
    const free = await Promise.all([0, ...NEIGHBOURS].map((offset) => isFree(port + offset)));
    if (free.every((each) => each)) return port;
  }
  throw new Error("no free port whose neighbours (Nacos adds 1000 for gRPC) are free too");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
