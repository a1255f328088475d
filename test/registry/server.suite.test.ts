import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createClient, createServer, type Server, type ServerOptions } from "bowline";
import { Health } from "bowline/grpc/health";
import { etcd } from "bowline/registry/etcd";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EtcdServer } from "./etcd-server.ts";
import { realRegistry } from "./suite.ts";

const PROGRAM = fileURLToPath(new URL("./registered-server.ts", import.meta.url));
const TTL_SECONDS = 5;
const PATIENCE_MS = 30_000;

await realRegistry("a server in etcd 3.6", ["etcd-3.6"], ([program]) => {
  describe("its entry", { timeout: 4 * PATIENCE_MS }, () => {
    let backend: EtcdServer;
    let count = 0;
    let service = "";
    const servers: Server[] = [];
    const lines: string[] = [];
    beforeAll(async () => {
      backend = await EtcdServer.start({ program });
    });
    afterAll(() => backend.remove());
    afterEach(async () => {
      await backend.resume();
      for (const server of servers.splice(0)) await server.close();
      lines.length = 0;
    });

    function make(options: ServerOptions = {}): Server {
      service = `server-${++count}.rpc`;
      const say = (_fields: object, text: string): void => void lines.push(text);
      const server = createServer({
        name: service,
        listen: "127.0.0.1:0",
        registry: etcd({ hosts: backend.hosts, ttlSeconds: TTL_SECONDS }),
        handleSignals: false,
        drainAcceptMs: 0,
        logger: { info: say, warn: say, error: say },
        ...options,
      });
      servers.push(server);
      return server;
    }

    /** Addresses as a go-zero client reads them. */
    const keys = async (): Promise<string[]> => (await backend.list(`${service}/`)).map(({ value }) => value);

    async function eventually(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
      const end = performance.now() + PATIENCE_MS;
      while (!(await isTrue())) {
        if (performance.now() > end) throw new Error(`waited in vain until ${what}; log: ${lines.join(" | ")}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    it("is the bare address below the name, as long as the server lives", async () => {
      const server = await make().start();
      expect(await keys()).toEqual([server.address]);
      expect(server.registration).toMatchObject({ state: "registered", lastError: null });
      await server.close();
      expect(await keys()).toEqual([]);
      expect(lines).toEqual([]);
    });

    it("has the address of an interface for a server that listens on all", async () => {
      const server = await make({ listen: "0.0.0.0:0" }).start();
      const [address] = await keys();
      expect(address).toMatch(new RegExp(`^[\\d.]+:${server.port}$`));
      expect(address).not.toMatch(/^0\./);
      const client = createClient(Health, address);
      expect(await client.check({})).toMatchObject({ status: 1 });
      await client.close();
    });

    it("is not made where there is no address to tell", async () => {
      const start = make({ advertise: "interface:none0" }).start();
      await expect(start).rejects.toThrow(/this machine has no interface none0 with a usable address; there are /);
      expect(await keys()).toEqual([]);
    });

    it("is made later when etcd is down at the start; the server serves meanwhile, and says so once", async () => {
      await backend.stop();
      const server = await make().start();
      expect(server.registration?.state).toBe("pending");
      expect(server.registration?.lastError?.message).toContain("etcd");
      const client = createClient(Health, server.address);
      expect(await client.check({})).toMatchObject({ status: 1 });
      await client.close();
      await backend.resume();
      await eventually("it is registered", () => server.registration?.state === "registered");
      expect(await keys()).toEqual([server.address]);
      expect(lines.filter((line) => line.includes("is not in the registry yet"))).toHaveLength(1);
    });

    it("is back after etcd was killed, and after it has lost all that it knew", async () => {
      const server = await make().start();
      await backend.stop("SIGKILL");
      await backend.resume();
      await eventually("the key is there", async () => (await keys()).length === 1);
      await backend.stop("SIGKILL");
      for (const { process } of backend.members) await rm(`${process.folder}/data`, { recursive: true });
      await backend.resume();
      await eventually("the key is back", async () => (await keys())[0] === server.address);
      await eventually("it is registered", () => server.registration?.state === "registered");
    });

    it("leaves for a pause, and comes back with its new weight", async () => {
      const server = await make().start();
      await server.pause();
      expect([await keys(), server.registration?.state]).toEqual([[], "paused"]);
      await server.setWeight(3);
      await server.resume();
      expect(await keys()).toEqual([server.address]);
      const [{ value }] = await backend.list(`bowline/instances/${service}/`);
      expect(JSON.parse(value)).toMatchObject({ weight: 3 });
    });

    async function startProcess(): Promise<ReturnType<typeof spawn>> {
      service = `server-${++count}.rpc`;
      const child = spawn(process.execPath, [PROGRAM, backend.hosts[0], service], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [address] = (await once(child.stdout, "data")) as [Buffer];
      expect(await keys()).toEqual([address.toString().trim()]);
      return child;
    }

    it("goes with SIGTERM before the process does", async () => {
      const child = await startProcess();
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const [code] = await exited;
      expect([code, await keys()]).toEqual([0, []]);
    });

    it("goes with its lease when the process is killed", async () => {
      const child = await startProcess();
      child.kill("SIGKILL");
      await eventually("the lease is over", async () => (await keys()).length === 0);
    });
  });
});
