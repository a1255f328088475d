import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { codeName, createClient, RpcError } from "bowline";
import { Health } from "bowline/grpc/health";
import { greet } from "./greeting.ts";
import { type Place, placeOf } from "./host-port.ts";
import type { TlsFiles } from "./tls-files.ts";

/** What is tried with an address, each after the one before. `tls` only where it is asked for. */
export type StepName = "resolve" | "tcp" | "tls" | "http2" | "health";

/** One thing that was tried. */
export interface Step {
  readonly name: StepName;
  readonly isOk: boolean;
  readonly ms: number;
  /** What was seen: the address of a name, the version of TLS, the status of health; or what went wrong. */
  readonly detail: string;
  /** Of the error: `ECONNREFUSED`, `CERT_HAS_EXPIRED`, `UNAVAILABLE`; empty if it went well. */
  readonly code: string;
}

/** How to call. */
export interface ProbeOptions {
  /** For each step, in ms. */
  readonly timeoutMs: number;
  /** Undefined: plaintext. */
  readonly tls: TlsFiles | undefined;
  /** What certificates are asked for when the address is an IP address; undefined: the address itself. */
  readonly serverName: string | undefined;
}

/** Addresses that are tried at the same time: enough for a fleet, few enough for a process's descriptors. */
export const MAX_PROBES = 64;

/** Tries an address step by step, as a client would; ends with the first step that fails. */
export async function probe(address: string, options: ProbeOptions): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const open: Socket[] = [];
  const place = placeOf(address);
  try {
    let host = place.host;
    if (place.path === "" && isIP(place.host) === 0) {
      host = await step(steps, "resolve", options, () => resolve(place.host));
    }
    const socket = await step(steps, "tcp", options, () => dial(place, host, open));
    const link = options.tls === undefined ? socket : await secure(steps, socket, place, options, open);
    await step(steps, "http2", options, () => greet(link, options.tls !== undefined));
    await step(steps, "health", options, () => askHealth(address, options));
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
  } finally {
    for (const socket of open) socket.destroy();
  }
  return steps;
}

/** Ends the sequence; its step is in the list already. */
class StepFailed extends Error {}

/** What a step gives on, and what there is to say of it. */
type Seen<T> = readonly [value: T, detail: string];

async function step<T>(
  steps: Step[],
  name: StepName,
  { timeoutMs }: ProbeOptions,
  work: () => Promise<Seen<T>>,
): Promise<T> {
  const begun = performance.now();
  const since = (): number => Math.round((performance.now() - begun) * 100) / 100;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: "ETIMEDOUT" }));
  }, timeoutMs);
  try {
    const [value, detail] = await Promise.race([work(), late]);
    steps.push({ name, isOk: true, ms: since(), detail, code: "" });
    return value;
  } catch (error) {
    // OpenSSL's own message is a line of its source; its reason is a phrase.
    const { message, code, reason } = error as Error & { code?: unknown; reason?: unknown };
    const detail = typeof reason === "string" ? reason : message;
    steps.push({ name, isOk: false, ms: since(), detail, code: typeof code === "string" ? code : "" });
    throw new StepFailed();
  } finally {
    clearTimeout(timer);
  }
}

async function resolve(name: string): Promise<Seen<string>> {
  const found = await lookup(name, { all: true });
  return [found[0].address, found.map(({ address }) => address).join(", ")];
}

function dial({ port, path }: Place, host: string, open: Socket[]): Promise<Seen<Socket>> {
  const socket = path === "" ? connect({ host, port }) : connect({ path });
  open.push(socket);
  const from = (): string => (path === "" ? `from ${socket.localAddress}` : path);
  return settled(socket, "connect", () => [socket, from()]);
}

async function secure(
  steps: Step[],
  socket: Socket,
  { host }: Place,
  options: ProbeOptions,
  open: Socket[],
): Promise<TLSSocket> {
  return step(steps, "tls", options, () => {
    const name = options.serverName ?? host;
    const names = isIP(name) === 0 ? { servername: name } : { host: name };
    const link = connectTls({ socket, ALPNProtocols: ["h2"], ...names, ...options.tls });
    open.push(link);
    return settled(link, "secureConnect", () => {
      if (link.alpnProtocol !== "h2") {
        const error = new Error("the server does not choose HTTP/2 in the handshake (ALPN)");
        throw Object.assign(error, { code: "ERR_ALPN" });
      }
      return [link, `${link.getProtocol()}, certificate of ${link.getPeerCertificate().subject?.CN ?? "an unnamed"}`];
    });
  });
}

async function askHealth(address: string, { timeoutMs, tls, serverName }: ProbeOptions): Promise<Seen<undefined>> {
  const target = address.startsWith("unix:") ? address : `static:///${address.replaceAll("%", "%25")}`;
  const health = createClient(Health, target, {
    timeoutMs,
    ...(tls === undefined ? {} : { tls: { authorities: tls.ca, certificate: tls.cert, key: tls.key } }),
    ...(serverName === undefined ? {} : { authority: serverName }),
  });
  try {
    const { status } = await health.check({ service: "" });
    const name = STATUS[status] ?? String(status);
    if (name === "SERVING") return [undefined, name];
    throw Object.assign(new Error(`the server says ${name}`), { code: name });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const name = codeName(error.code);
    if (name === "UNIMPLEMENTED") return [undefined, "answers calls, but has no health service"];
    throw Object.assign(new Error(error.text), { code: name });
  } finally {
    await health.close();
  }
}

/** grpc.health.v1.HealthCheckResponse.ServingStatus. */
const STATUS: readonly string[] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** What `take` makes of a socket after `event`; rejects when it breaks before. */
function settled<T>(socket: Socket, event: "connect" | "secureConnect", take: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" })));
    socket.once(event, () => {
      try {
        resolve(take());
      } catch (error) {
        reject(error);
      }
    });
  });
}
