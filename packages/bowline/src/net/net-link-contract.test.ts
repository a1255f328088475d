import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { expect } from "vitest";
import { certPath } from "../../test/certs.ts";
import { type LinkPair, linkContract } from "../../test/link-contract.ts";
import { systemClock } from "../rpc/clock.ts";
import { NetLink } from "./net-link.ts";
import { shareReads } from "./shared-reads.ts";

const PEER = { remoteAddress: "127.0.0.1:2", localAddress: "127.0.0.1:1" };

function link(socket: Socket): NetLink {
  return new NetLink(socket, { clock: systemClock, peer: PEER });
}

/** As a server does with what it has accepted. */
function sharingLink(socket: Socket): NetLink {
  let made: NetLink | null = null;
  expect(shareReads(socket, (count, buffer) => made?.receive(count, buffer) ?? true)).toBe(true);
  made = link(socket);
  return made;
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
  accepted: (socket: Socket) => NetLink = link,
): Promise<LinkPair> {
  server.listen(listenOptions(path));
  await once(server, "listening");
  const far = once(server, event).then(([socket]: Socket[]) => accepted(socket));
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

linkContract("a link over a Unix socket", () => pairOverUnix(link));

linkContract("a link over TCP, the far end with shared reads", () =>
  pairOver(createServer({ allowHalfOpen: true }), "connection", connected, undefined, sharingLink),
);

linkContract("a link over TCP, the near end with shared reads", async () =>
  swapped(await pairOver(createServer({ allowHalfOpen: true }), "connection", connected, undefined, sharingLink)),
);

linkContract("a link over a Unix socket, with shared reads", () => pairOverUnix(sharingLink));

async function pairOverUnix(accepted: (socket: Socket) => NetLink): Promise<LinkPair> {
  const directory = mkdtempSync(join(tmpdir(), "bowline-link-"));
  const path = join(directory, "s");
  const pair = await pairOver(createServer({ allowHalfOpen: true }), "connection", connected, path, accepted);
  const close = async (): Promise<void> => {
    await pair.close();
    rmSync(directory, { recursive: true });
  };
  return { ...pair, close };
}

/** The server's end is the near one. */
function swapped({ near, far, close }: LinkPair): LinkPair {
  return { near: far, far: near, close };
}

for (const bufferBytes of [65_536, 7]) {
  // Far reads, near writes.
  linkContract(`a link over a socket that reads into a buffer of ${bufferBytes} bytes`, async () => {
    const pair = await pairOver(createServer({ allowHalfOpen: true }), "connection", async (where) => {
      let near: NetLink | undefined;
      const callback = (count: number, buffer: Uint8Array): boolean => near?.receive(count, buffer as Buffer) ?? true;
      const socket = connect({ ...where, onread: { buffer: Buffer.alloc(bufferBytes), callback } });
      socket.pause();
      await once(socket, "connect");
      near = link(socket);
      return near;
    });
    return swapped(pair);
  });
}

linkContract("a link over TLS", () => pairOverTls(link));

linkContract("a link over TLS, the far end with shared reads", () => pairOverTls(sharingLink));

linkContract("a link over TLS, the near end with shared reads", async () => swapped(await pairOverTls(sharingLink)));

function pairOverTls(accepted: (socket: Socket) => NetLink): Promise<LinkPair> {
  const [cert, key, ca] = ["server.crt", "server.key", "authority.crt"].map((name) => readFileSync(certPath(name)));
  const server = createTlsServer({ cert, key, allowHalfOpen: true });
  const connectedTls = async (where: NetConnectOpts): Promise<NetLink> => {
    const socket = connectTls({ ...where, ca });
    await once(socket, "secureConnect");
    return link(socket);
  };
  return pairOver(server, "secureConnection", connectedTls, undefined, accepted);
}
