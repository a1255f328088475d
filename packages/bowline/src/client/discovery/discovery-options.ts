import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { type RewriteRule, rewriteBy } from "./rewrite.ts";
import { isAbsolutePath } from "./snapshot-folder.ts";

/** Waits between attempts to connect to an address that fails, see {@link ConnectionBackoff}. */
export interface ReconnectOptions {
  /** After the first failure, in ms. Default 1000. */
  readonly initialMs?: number;
  /** Each wait is this many times the one before. Default 1.6. */
  readonly factor?: number;
  /** Each wait is spread by this part of itself up and down, 0 to 1. Default 0.2. */
  readonly jitter?: number;
  /** Longest wait, in ms. Default 120,000. */
  readonly maxMs?: number;
}

/** How a client finds instances and gets to them; all of it is optional. */
export interface DiscoverySettings {
  /**
   * Networks that this client is in, the preferred one first: of each instance the first address in common is used, one without a label
   * (reachable from anywhere) last; an instance with neither is left out. Default: none; instances are dialled at an address without a
   * label, or their first.
   */
  readonly networks?: readonly string[];
  /** Addresses to dial in place of those that the registry tells; the first rule that fits decides. Default: none. */
  readonly rewrite?: readonly RewriteRule[];
  /**
   * Where the last known instances are kept for a start without the registry, an absolute path; `false` = nowhere. Of registries on
   * other machines only. Default `bowline/snapshots` in `$XDG_CACHE_HOME` or `~/.cache`.
   */
  readonly snapshotFolder?: string | false;
  /** Waits between attempts to connect. Default 1 s × 1.6 up to 2 min, ± 20 % (gRPC's connection backoff). */
  readonly reconnect?: ReconnectOptions;
}

/** Specs of the options of {@link DiscoverySettings} that need no look inside. */
export const DISCOVERY_SPECS: OptionSpecs = {
  networks: { kind: "array" },
  rewrite: { kind: "array" },
  snapshotFolder: { kind: "any" },
  reconnect: { kind: "object" },
};

const RECONNECT_SPECS: OptionSpecs = {
  initialMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  factor: { kind: "number", min: 1, max: 100, unit: "times the wait before" },
  jitter: { kind: "number", min: 0, max: 1, unit: "parts of the wait" },
  maxMs: { kind: "number", min: 1, max: 3_600_000, unit: "ms" },
};

/** @throws TypeError or RangeError naming what is wrong with the discovery part of a client's options */
export function checkDiscoverySettings(settings: DiscoverySettings): void {
  const { networks, rewrite, snapshotFolder, reconnect } = settings;
  checkNetworks(networks);
  if (rewrite !== undefined) rewriteBy(rewrite, "", "createClient options.rewrite");
  checkFolder(snapshotFolder);
  checkOptions("createClient options.reconnect", reconnect, RECONNECT_SPECS);
  const { initialMs = 1000, maxMs = 120_000 } = reconnect ?? {};
  if (maxMs < initialMs) {
    throw new RangeError(
      `createClient options.reconnect.maxMs is ${maxMs}: give initialMs (${initialMs}) or more, or a smaller initialMs`,
    );
  }
}

function checkNetworks(networks: readonly unknown[] | undefined): void {
  for (const [index, network] of (networks ?? []).entries()) {
    if (typeof network === "string" && network !== "" && networks?.indexOf(network) === index) continue;
    throw new TypeError(
      `createClient options.networks[${index}] is ${JSON.stringify(network)}: give labels of networks, each once, such as ["vpc-a", "public"]`,
    );
  }
}

function checkFolder(folder: unknown): void {
  if (folder === undefined || folder === false) return;
  if (typeof folder === "string" && isAbsolutePath(folder) && !folder.includes("\0")) return;
  throw new TypeError(
    `createClient options.snapshotFolder is ${JSON.stringify(folder)}: give an absolute path such as "/var/cache/shop", or false for no snapshots`,
  );
}
