import { existsSync } from "node:fs";
import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { formatAddress, isUnixAddress, type SocketAddress } from "./address.ts";

/**
 * Why a server can't listen.
 *
 * - `address` the text is no address, or this machine does not have it
 * - `in-use` somebody else listens there
 * - `not-permitted` the system forbids it
 * - `other` anything else; see `cause`
 */
export type ListenErrorKind = "address" | "in-use" | "not-permitted" | "other";

/** The one error of `listen`. The message names the address, the reason and what to do. */
export class ListenError extends Error {
  override readonly name: string = "ListenError";
  readonly kind: ListenErrorKind;
  readonly address: string;

  constructor(kind: ListenErrorKind, address: string, why: string, cause?: unknown) {
    super(`cannot listen on ${address}: ${why}`, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.address = address;
  }
}

/** Turns an error of binding into a ListenError; looks up who holds the port when it is taken. */
export async function listenError(error: Error, address: SocketAddress): Promise<ListenError> {
  const code = "code" in error ? String(error.code) : "";
  const text = formatAddress(address);
  if (code === "EADDRINUSE") return new ListenError("in-use", text, await explainInUse(address), error);
  const [kind, why] = isUnixAddress(address)
    ? explainUnix(code, address.path)
    : explainTcp(code, address.host, address.port);
  return new ListenError(kind, text, why || error.message, error);
}

type Explanation = readonly [kind: ListenErrorKind, why: string];

async function explainInUse(address: SocketAddress): Promise<string> {
  const { portOwner, unixSocketOwner } = await import("./proc/port-owner.ts");
  if (isUnixAddress(address)) {
    const owner = (await unixSocketOwner(address.path)) ?? "another process";
    return `${owner} serves this socket already; stop it or use another path`;
  }
  const owner =
    (await portOwner(address.port)) ?? "another process (of another user or container, so that it can't be named)";
  return `port ${address.port} is taken by ${owner}; stop it or use another port (0 takes any free one)`;
}

function explainTcp(code: string, host: string, port: number): Explanation {
  if (code === "EACCES" || code === "EPERM") {
    return [
      "not-permitted",
      `this user may not take port ${port}; use a port from 1024 on, or grant CAP_NET_BIND_SERVICE`,
    ];
  }
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
    return [
      "address",
      `this machine has no address ${host}; listen on 0.0.0.0 or [::] and name the reachable one as advertised address`,
    ];
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return ["address", `the host name ${host} can't be resolved; give an IP address`];
  if (code === "EAFNOSUPPORT") return ["address", "this machine has no IPv6; listen on 0.0.0.0"];
  return ["other", ""];
}

function explainUnix(code: string, path: string): Explanation {
  // libuv reports a missing directory as EACCES.
  if (!existsSync(dirname(path))) return ["address", `there is no directory ${dirname(path)}; create it`];
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return [
      "not-permitted",
      `this user may not create files in ${dirname(path)}; change its mode or use another directory`,
    ];
  }
  return ["other", ""];
}

/**
 * Makes way for a new Unix socket: a socket file that nobody serves any more (its server was killed) is removed.
 *
 * Rejects with ListenError when somebody serves it or the file is something else.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const before = await lstat(path).catch(() => undefined);
  if (before === undefined) return;
  if (!before.isSocket()) {
    throw new ListenError(
      "in-use",
      `unix:${path}`,
      "there is a file of that name which is no socket; remove it or use another path",
    );
  }
  if (await isServed(path))
    throw await listenError(Object.assign(new Error("the socket is served"), { code: "EADDRINUSE" }), { path });
  const now = await lstat(path).catch(() => undefined);
  // A server that started meanwhile has made a new file.
  if (now?.ino === before.ino) await unlink(path).catch(() => {});
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Refused or gone: nobody. Anything else (no permission, full backlog) is left to binding to complain about.
    socket.once("error", (error) =>
      resolve(!("code" in error && (error.code === "ECONNREFUSED" || error.code === "ENOENT"))),
    );
  });
}
