import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { rounds } from "../../rounds.ts";
import { badCertificates } from "./bad-certificates.ts";

const SERVERS = 3;
const CLIENTS = 2;
const CERTIFICATES = fileURLToPath(new URL("../../../../packages/bowline/test/certs/", import.meta.url));
/** Connections are renewed this often, so that each step of a rotation meets new handshakes. */
const AGE_MS = 1500;
/** Files that the file system has not announced are looked at each 5 s. */
const NOTICED_MS = 6000;
/** A flood that the machine can't bear at its rate is as fast as it can be with so many handshakes under way. */
const MOST_UNDER_WAY = 200;
/** In the short form its announcement must do. */
const ANNOUNCED_MS = 1800;

/** Certificates and their authority are changed under load, handshakes come in floods, and wrong certificates are shown. */
export const tls: Experiment = {
  number: 14,
  name: "TLS: rotation of the authority, floods of handshakes, wrong certificates",
  promise:
    "no call fails through the rotation and the handshakes; expired or for another name: no call, and never a byte of plaintext",
  fullMinutes: 2,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const rotation = await rotate(scale);
  const bad = await badCertificates(scale.seed, CERTIFICATES);
  return { figures: { ...rotation.figures, ...bad.figures }, faults: [...rotation.faults, ...bad.faults] };
}

async function rotate(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  await using fleet = new Fleet(seed);
  const files = new Files(fleet.directory);
  files.put("server", "server");
  files.put("client", "client");
  files.trust("authority");
  const options = { tls: files.settings("server"), keepalive: { maxAgeMs: AGE_MS } };
  const servers = await fleet.startServers(SERVERS, { options });
  const target = `static:///${servers.map(({ address }) => address).join(",")}`;
  await fleet.startClients(CLIENTS, target, { tls: files.settings("client") });
  await fleet.ready(SERVERS);
  const stepMs = isShort ? ANNOUNCED_MS : NOTICED_MS;
  const most = { perSecond: isShort ? 100 : 400, writeShare: 0.5, sleepMs: 5, timeoutMs: 10_000 };
  const load = await fleet.bearable(most);
  fleet.load(load);
  await delay(AGE_MS);
  let last = "";
  for (const round of rounds(scale, 1, 5)) {
    const [from, to] =
      round % 2 === 0 ? (["authority", "other-authority"] as const) : (["other-authority", "authority"] as const);
    files.trust(from, to);
    await delay(stepMs);
    files.put("server", to === "authority" ? "server" : "server-untrusted");
    files.put("client", to === "authority" ? "client" : "client-untrusted");
    await delay(stepMs);
    files.trust(to);
    last = AUTHORITIES[to];
    await delay(stepMs);
  }
  const issuers = await Promise.all(servers.map((server) => issuerOf(server, files)));
  const handshakes = await flood(
    servers,
    files,
    isShort ? { count: 120, perSecond: 200 } : { count: 10_000, perSecond: 1000 },
  );
  const { logs: _, faults, ...figures } = await fleet.balance(() => false);
  const found = [...faults];
  for (const issuer of issuers) if (issuer !== last) found.push(`a server still shows a certificate of ${issuer}`);
  if (handshakes.failed > 0) found.push(`${handshakes.failed} handshakes failed: ${handshakes.reason}`);
  const { done, perSecond } = handshakes;
  return { figures: { ...figures, handshakes: done, handshakesPerSecond: perSecond }, faults: found };
}

/** Names of the authorities in certificates. */
const AUTHORITIES = { authority: "Test authority", "other-authority": "Another authority" } as const;

/** The files that all processes read. */
class Files {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  settings(side: "server" | "client"): { certificate: string; key: string; authorities: string } {
    return { certificate: this.path(`${side}.crt`), key: this.path(`${side}.key`), authorities: this.path("ca.crt") };
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Replaces a certificate and its key, one after the other. */
  put(side: "server" | "client", certificate: string): void {
    for (const end of ["key", "crt"]) {
      const next = this.path(`${side}.${end}.next`);
      copyFileSync(join(CERTIFICATES, `${certificate}.${end}`), next);
      renameSync(next, this.path(`${side}.${end}`));
    }
  }

  /** Replaces the authorities that are trusted. */
  trust(...authorities: readonly string[]): void {
    const next = this.path("ca.crt.next");
    writeFileSync(next, authorities.map((name) => readFileSync(join(CERTIFICATES, `${name}.crt`), "utf8")).join("\n"));
    renameSync(next, this.path("ca.crt"));
  }
}

/** What clients of these files connect with, as they are now. */
function contextOf(files: Files): SecureContext {
  const { certificate, key, authorities } = files.settings("client");
  const [cert, privateKey, ca] = [certificate, key, authorities].map((path) => readFileSync(path));
  return createSecureContext({ cert, key: privateKey, ca });
}

function handshake({ address }: ChaosServer, secureContext: SecureContext): Promise<TLSSocket> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", secureContext, ALPNProtocols: ["h2"] });
    socket.once("secureConnect", () => resolve(socket));
    socket.on("error", reject);
  });
}

async function issuerOf(server: ChaosServer, files: Files): Promise<string> {
  const socket = await handshake(server, contextOf(files));
  const { issuer } = socket.getPeerCertificate();
  socket.destroy();
  return String(issuer.CN);
}

/** Handshakes at this rate, if the machine can bear it, each connection dropped at once. */
async function flood(
  servers: readonly ChaosServer[],
  files: Files,
  { count, perSecond }: { readonly count: number; readonly perSecond: number },
): Promise<{ readonly done: number; readonly failed: number; readonly reason: string; readonly perSecond: number }> {
  const context = contextOf(files);
  const failures: string[] = [];
  const underWay = new Set<Promise<unknown>>();
  const startedAt = performance.now();
  for (let made = 0; made < count; made++) {
    const aheadMs = startedAt + (made * 1000) / perSecond - performance.now();
    if (aheadMs > 1) await delay(aheadMs);
    while (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay);
    const end: Promise<unknown> = handshake(servers[made % servers.length] as ChaosServer, context)
      .then((socket) => socket.destroy())
      .catch((error: unknown) => failures.push(String(error)))
      .finally(() => underWay.delete(end));
    underWay.add(end);
  }
  await Promise.all(underWay);
  const seconds = (performance.now() - startedAt) / 1000;
  const done = count - failures.length;
  return { done, failed: failures.length, reason: failures[0] ?? "", perSecond: done / seconds };
}
