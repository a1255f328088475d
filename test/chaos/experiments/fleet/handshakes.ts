import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { median } from "../../../../bench/harness/report/statistics.ts";
import { launchHere } from "../../checked/launch.ts";
import type { BareTlsOptions } from "../../processes/bare-tls-server.ts";

/** A flood that the machine can't bear at its rate is as fast as it can be with so many handshakes under way. */
const MOST_UNDER_WAY = 200;
const START_MS = 40_000;
const BARE_SERVER = fileURLToPath(new URL("../../processes/bare-tls-server.ts", import.meta.url));

/** What a flood of handshakes came to. */
export interface Flood {
  readonly done: number;
  /** Of those that failed. */
  readonly reasons: readonly string[];
  /** That were made. */
  readonly perSecond: number;
}

/** Rates of floods that came by turns. */
export interface Floods {
  readonly done: number;
  readonly reasons: readonly string[];
  /** Medians. */
  readonly perSecond: number;
  /** Of as many servers of node:tls and nothing else, under the same load. */
  readonly barePerSecond: number;
}

/** A connection to `address` whose handshake is made. */
export function handshake(address: string, secureContext: SecureContext): Promise<TLSSocket> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", secureContext, ALPNProtocols: ["h2"] });
    socket.once("secureConnect", () => resolve(socket));
    socket.on("error", reject);
  });
}

/** Handshakes with all of `addresses` in turn at this rate, if the machine can bear it, each connection dropped at once. */
export async function flood(
  addresses: readonly string[],
  context: SecureContext,
  { count, perSecond }: { readonly count: number; readonly perSecond: number },
): Promise<Flood> {
  const reasons: string[] = [];
  const underWay = new Set<Promise<unknown>>();
  const startedAt = performance.now();
  for (let made = 0; made < count; made++) {
    const aheadMs = startedAt + (made * 1000) / perSecond - performance.now();
    if (aheadMs > 1) await delay(aheadMs);
    while (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay);
    const end: Promise<unknown> = handshake(addresses[made % addresses.length] as string, context)
      .then((socket) => socket.destroy())
      .catch((error: unknown) => reasons.push(String(error)))
      .finally(() => underWay.delete(end));
    underWay.add(end);
  }
  await Promise.all(underWay);
  const done = count - reasons.length;
  return { done, reasons, perSecond: (done * 1000) / (performance.now() - startedAt) };
}

/** Floods of `addresses` and of bare servers with these files by turns, `turns` of each. */
export async function floodBesideBare(
  addresses: readonly string[],
  context: SecureContext,
  files: BareTlsOptions,
  options: { readonly turns: number; readonly count: number; readonly perSecond: number },
): Promise<Floods> {
  const args = ["--no-warnings", BARE_SERVER, "--options", JSON.stringify(files)];
  const bare = addresses.map(() => launchHere({ command: process.execPath, args }));
  try {
    const ready = await Promise.all(bare.map((child) => child.next("ready", START_MS)));
    const bareAddresses = ready.map(({ addr }) => String(addr));
    const floods: { readonly ours: Flood; readonly bare: Flood }[] = [];
    for (let turn = 0; turn < options.turns; turn++) {
      const ours = await flood(addresses, context, options);
      floods.push({ ours, bare: await flood(bareAddresses, context, options) });
    }
    return {
      done: floods.reduce((sum, { ours }) => sum + ours.done, 0),
      reasons: floods.flatMap((each) => [
        ...each.ours.reasons,
        ...each.bare.reasons.map((reason) => `(bare node:tls) ${reason}`),
      ]),
      perSecond: median(floods.map((each) => each.ours.perSecond)),
      barePerSecond: median(floods.map((each) => each.bare.perSecond)),
    };
  } finally {
    await Promise.all(bare.map((child) => child.stop()));
  }
}
