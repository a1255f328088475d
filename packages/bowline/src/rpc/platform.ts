import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** The environment's variables, as they are now. */
export function environment(): Readonly<Record<string, string | undefined>> {
  // The global, here and everywhere: importing node:process makes the three standard streams, 8 ms that nobody asked for.
  return { ...process.env };
}

/** node:tls, loaded at first use: it takes 20 ms, which a process that speaks plaintext need not wait for. */
export function tlsModule(): typeof import("node:tls") {
  return process.getBuiltinModule("node:tls");
}

/** node:http, loaded at first use: as a module with names it makes WebSocket and its like, and with them all of undici. */
export function httpModule(): typeof import("node:http") {
  return process.getBuiltinModule("node:http");
}

/** node:https, loaded at first use. */
export function httpsModule(): typeof import("node:https") {
  return process.getBuiltinModule("node:https");
}

/** node:crypto, loaded at first use. */
export function cryptoModule(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}

/** True for sockets of node:tls, found out without loading it. */
export function isTlsSocket(socket: Socket): socket is TLSSocket {
  return "encrypted" in socket && socket.encrypted === true;
}
