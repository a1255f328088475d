import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { certPath } from "../../test/certs.ts";
import { type LinkPair, linkContract } from "../../test/link-contract.ts";
import { systemClock } from "../rpc/clock.ts";
import { NetLink } from "./net-link.ts";

const PEER = { remoteAddress: "127.0.0.1:2", localAddress: "127.0.0.1:1" };

function link(socket: Socket): NetLink {
  return new NetLink(socket, { clock: systemClock, peer: PEER });
}

function listenOptions(path?: string): { path: string } | { port: number; host: string } {
  return path === undefined ? { port: 0, host: "127.0.0.1" } : { path };
}

function whereTo(server: Server): { path: string } | { port: number; host: string } {
  const address = server.address();
  if (typeof address === "string") return { path: address };
  return { port: address?.port ?? 0, host: "127.0.0.1" };
}

/** Two links over a server's socket and a client's one; the client is near. */
async function pairOver(
  server: Server,
  event: "connection" | "secureConnection",
  connectTo: (where: NetConnectOpts) => Promise<NetLink>,
  path?: string,
): Promise<LinkPair> {
  server.listen(listenOptions(path));
  await once(server, "listening");
  const far = once(server, event).then(([socket]: Socket[]) => link(socket));
  const near = await connectTo({ ...whereTo(server), allowHalfOpen: true });
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { near, far: await far, close };
}

async function connected(where: NetConnectOpts): Promise<NetLink> {
  const socket = connect(where);
  await once(socket, "connect");
  return link(socket);
}

linkContract("a link over TCP", () => pairOver(createServer({ allowHalfOpen: true }), "connection", connected));

linkContract("a link over a Unix socket", async () => {
  const directory = mkdtempSync(join(tmpdir(), "bowline-link-"));
  const pair = await pairOver(createServer({ allowHalfOpen: true }), "connection", connected, join(directory, "s"));
  const close = async (): Promise<void> => {
    await pair.close();
    rmSync(directory, { recursive: true });
  };
  return { ...pair, close };
});

for (const bufferBytes of [65_536, 7]) {
  // Far reads, near writes: so the server's end is the near one here.
  linkContract(`a link over a socket that reads into a buffer of ${bufferBytes} bytes`, async () => {
    const pair = await pairOver(createServer({ allowHalfOpen: true }), "connection", async (where) => {
      let near: NetLink | undefined;
      const callback = (count: number, buffer: Uint8Array): boolean => {
        near?.receive(count, buffer as Buffer);
        return true;
      };
      const socket = connect({ ...where, onread: { buffer: Buffer.alloc(bufferBytes), callback } });
      socket.pause();
      await once(socket, "connect");
      near = link(socket);
      return near;
    });
    return { near: pair.far, far: pair.near, close: pair.close };
  });
}

linkContract("a link over TLS", () => {
  const [cert, key, ca] = ["server.crt", "server.key", "authority.crt"].map((name) => readFileSync(certPath(name)));
  const server = createTlsServer({ cert, key, allowHalfOpen: true });
  return pairOver(server, "secureConnection", async (where) => {
    const socket = connectTls({ ...where, ca });
    await once(socket, "secureConnect");
    return link(socket);
  });
});
