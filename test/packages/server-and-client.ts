import { strict as assert } from "node:assert";
import { subscribe } from "node:diagnostics_channel";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, createServer, type ServerOptions, silentLogger } from "bowline";
import { local } from "bowline/registry/local";
import { KnotService } from "../gen/packages/v1/knot_rpc.ts";
import { callBuiltIns } from "./built-in-calls.ts";
import { callEverything } from "./knot-calls.ts";
import { knotHandlers } from "./knot-handlers.ts";

/**
 * A server and a client in one process: in plaintext and compressed, over TLS, and through the local registry. With a folder of
 * certificates as argument; without one TLS is left out. The last line says what was done.
 */
const certificates = process.argv[2];
const done: string[] = [];

await overPlaintext();
if (certificates !== undefined) await overTls(certificates);
await overLocalRegistry();
console.log(`node ${process.versions.node}: ${done.join(", ")}`);

async function withServer(options: ServerOptions, use: (address: string) => Promise<void>): Promise<void> {
  const server = createServer({ listen: "127.0.0.1:0", drainAcceptMs: 0, logger: silentLogger, ...options });
  server.add(KnotService, knotHandlers);
  await server.start();
  try {
    await use(server.address);
  } finally {
    await server.close();
  }
}

async function overPlaintext(): Promise<void> {
  const watch = watchReads();
  await withServer({}, async (address) => {
    const knots = createClient(KnotService, address);
    await callEverything(knots);
    await knots.close();
    await callBuiltIns(address, KnotService.typeName);
  });
  done.push("plaintext", watch.areShared() ? "shared reads" : "reads of their own");
  for (const compression of ["gzip", "deflate", "br", "zstd"]) {
    await withServer({ compression }, async (address) => {
      const knots = createClient(KnotService, address, { compression });
      await callEverything(knots);
      await knots.close();
    });
    done.push(compression);
  }
}

/** Says whether servers read into one buffer: only the first bytes of a connection come by `data` events then (docs/decisions/0022). */
function watchReads(): { areShared(): boolean } {
  const sockets: Socket[] = [];
  let eventBytes = 0;
  subscribe("net.server.socket", (message) => {
    const { socket } = message as { socket: Socket };
    sockets.push(socket);
    socket.on("data", (chunk) => {
      eventBytes += chunk.length;
    });
  });
  return {
    areShared: () => {
      const readBytes = sockets.reduce((sum, socket) => sum + socket.bytesRead, 0);
      assert.ok(eventBytes > 0 && readBytes >= eventBytes);
      return eventBytes < readBytes / 2;
    },
  };
}

async function overTls(folder: string): Promise<void> {
  const [certificate, key] = [join(folder, "server.crt"), join(folder, "server.key")];
  await withServer({ tls: { certificate, key } }, async (address) => {
    const knots = createClient(KnotService, address, { tls: { authorities: join(folder, "authority.crt") } });
    await callEverything(knots);
    await knots.close();
  });
  done.push("TLS");
}

async function overLocalRegistry(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "bowline-knots-"));
  const registry = local({ directory, namespace: "checks" });
  try {
    await withServer({ name: "knots", registry }, async () => {
      const knots = createClient(KnotService, "knots", { registry });
      await callEverything(knots);
      await knots.close();
    });
    done.push("local registry");
  } finally {
    await rm(directory, { recursive: true });
  }
}
