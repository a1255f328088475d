import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { fileURLToPath } from "node:url";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { rounds } from "../../rounds.ts";
import { badCertificates } from "./bad-certificates.ts";
import { floodBesideBare, handshake } from "./handshakes.ts";

const SERVERS = 3;
const CLIENTS = 2;
const CERTIFICATES = fileURLToPath(new URL("../../../../packages/bowline/test/certs/", import.meta.url));
/** Connections are renewed this often, so that each step of a rotation meets new handshakes. */
const AGE_MS = 1500;
/** Files that the file system has not announced are looked at each 5 s. */
const NOTICED_MS = 6000;
/** Handshakes offered in a second. */
const FLOOD_PER_SECOND = 1000;
/** Where node:tls alone can't make so many beside the same load, this share of what it makes there. */
const SHARE_OF_BARE = 0.8;
/** A loop that waits for the next turn of the clock offers a little less than it should. */
const NEARLY = 0.95;
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
  const addresses = servers.map(({ address }) => address);
  const handshakes = await floodBesideBare(addresses, contextOf(files), files.settings("server"), {
    ...(isShort ? { turns: 1, count: 120 } : { turns: 5, count: 2000 }),
    perSecond: FLOOD_PER_SECOND,
  });
  const { logs: _, faults, ...figures } = await fleet.balance(() => false);
  const found = [...faults];
  for (const issuer of issuers) if (issuer !== last) found.push(`a server still shows a certificate of ${issuer}`);
  const { done, reasons, perSecond, barePerSecond } = handshakes;
  if (reasons.length > 0) found.push(`${reasons.length} handshakes failed: ${reasons[0]}`);
  const least = Math.min(NEARLY * FLOOD_PER_SECOND, SHARE_OF_BARE * barePerSecond);
  if (!isShort && perSecond < least)
    found.push(`${perSecond} handshakes a second where node:tls alone makes ${barePerSecond}`);
  return {
    figures: { ...figures, handshakes: done, handshakesPerSecond: perSecond, bareHandshakesPerSecond: barePerSecond },
    faults: found,
  };
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

async function issuerOf(server: ChaosServer, files: Files): Promise<string> {
  const socket = await handshake(server.address, contextOf(files));
  const { issuer } = socket.getPeerCertificate();
  socket.destroy();
  return String(issuer.CN);
}
