// node:tls and nothing else: makes handshakes with clients that show a certificate, and waits until they go.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { announce } from "../../peers/peer-lines.ts";
import { processOptions } from "./options.ts";

/** What it is told on its command line: files. */
export interface BareTlsOptions {
  readonly certificate: string;
  readonly key: string;
  readonly authorities: string;
}

const { certificate, key, authorities } = processOptions<BareTlsOptions>();
const [cert, privateKey, ca] = [certificate, key, authorities].map((path) => readFileSync(path));
const server = createServer({ cert, key: privateKey, ca, requestCert: true, ALPNProtocols: ["h2"] }, (socket) => {
  socket.on("error", () => {}).resume();
});
server.on("tlsClientError", () => {});
await once(server.listen(0, "127.0.0.1"), "listening");
announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` });
