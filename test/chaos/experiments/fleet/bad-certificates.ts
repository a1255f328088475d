import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createServer as createTls } from "node:tls";
import { Code } from "bowline";
import { rawSettings } from "bowline/testing";
import type { Outcome } from "../../experiment.ts";
import { Fleet } from "../../fleet/fleet.ts";

/** The first byte of every TLS record of a handshake, RFC 8446 section 5.1. */
const TLS_HANDSHAKE = 0x16;
const CALLS_MS = 600;

/** A server that nobody should call. */
interface Impostor {
  readonly name: string;
  /** What the client must say. */
  readonly text: RegExp;
  /** Certificate that it shows; absent: it speaks plaintext. */
  readonly certificate?: string;
}

const IMPOSTORS: readonly Impostor[] = [
  { name: "expired", text: /expired/, certificate: "server-expired" },
  { name: "another name", text: /is for DNS:other\.internal/, certificate: "server-elsewhere" },
  { name: "another authority", text: /authority that this client does not trust/, certificate: "server-untrusted" },
  { name: "plaintext", text: /speaks plaintext/ },
];

/** Clients with TLS call servers with wrong certificates, and one that speaks plaintext: all calls fail, and nothing is said in the open. */
export async function badCertificates(seed: number, certificates: string): Promise<Outcome> {
  const outcomes = await Promise.all(IMPOSTORS.map((impostor) => call(impostor, seed, certificates)));
  const refused = outcomes.reduce((sum, { calls }) => sum + calls, 0);
  return { figures: { refusedCalls: refused }, faults: outcomes.flatMap(({ faults }) => faults) };
}

async function call(
  { name, text, certificate }: Impostor,
  seed: number,
  certificates: string,
): Promise<{ calls: number; faults: string[] }> {
  await using fleet = new Fleet(seed);
  const plaintext: string[] = [];
  const server = listen(certificate, certificates, (start) => plaintext.push(start));
  await once(server, "listening");
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  const tls = { authorities: join(certificates, "authority.crt") };
  const client = await fleet.startClient(`localhost:${(server.address() as AddressInfo).port}`, { tls });
  client.load({ perSecond: 50, writeShare: 0.5 });
  await delay(CALLS_MS);
  const { logs: _, ...balance } = await fleet.balance(({ code, text: said, wasSent }) => {
    return code === Code.UNAVAILABLE && !wasSent && text.test(said);
  });
  for (const socket of sockets) socket.destroy();
  server.close();
  const faults = balance.faults.map((fault) => `${name}: ${fault}`);
  if (balance.ok > 0 || balance.calls === 0)
    faults.push(`${name}: ${balance.ok} of ${balance.calls} calls were answered`);
  if (sockets.size === 0) faults.push(`${name}: nobody connected`);
  for (const start of plaintext) faults.push(`${name}: a connection began with ${start}`);
  return { calls: balance.calls, faults };
}

/** Hears how each connection begins; `onPlaintext` gets the first bytes of one that is not TLS. */
function listen(certificate: string | undefined, folder: string, onPlaintext: (start: string) => void): Server {
  const tls =
    certificate === undefined
      ? undefined
      : createTls({
          cert: readFileSync(join(folder, `${certificate}.crt`)),
          key: readFileSync(join(folder, `${certificate}.key`)),
          ALPNProtocols: ["h2"],
        });
  tls?.on("tlsClientError", () => {});
  tls?.on("secureConnection", (socket) => socket.on("error", () => {}).on("data", () => {}));
  return createTcp((socket) => {
    socket.on("error", () => {});
    socket.once("readable", () => {
      const start = socket.read() as Buffer | null;
      if (start === null) return;
      if (start[0] !== TLS_HANDSHAKE) onPlaintext(JSON.stringify(start.toString("latin1", 0, 24)));
      if (tls === undefined) return void socket.write(rawSettings());
      socket.unshift(start);
      tls.emit("connection", socket);
    });
  }).listen(0, "localhost");
}
