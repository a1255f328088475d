import { availableParallelism } from "node:os";
import { formatAddress, isUnixAddress, parseAddress, parseListenAddress } from "../../net/address.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { advertisedPorts, readAdvertise, withNextPorts } from "../lifecycle/advertise-option.ts";
import type { ServerOptions } from "../server-options.ts";

/** How a server runs in several processes. */
export interface WorkerOptions {
  /** Processes that serve, 1 to 1024; `"auto"`: one for each core that this process may use. The primary comes on top and serves nothing. */
  readonly count: number | "auto";
  /**
   * `"shared"`: all workers serve one address, which is registered once; new connections go to each in turn. `"own"`: worker 1 listens
   * on the port of `listen`, worker 2 on the next one and so on (port 0: any free one each), and each is an instance of its own in the
   * registry, so that clients balance over all of them. Default `"shared"`.
   */
  readonly ports?: "shared" | "own";
  /** The program that the workers run. Default: the one that this process runs. */
  readonly entry?: string;
  /** Time for a worker from its launch to `server.start()`, in ms; one that takes longer is ended. Default 30,000. */
  readonly startTimeoutMs?: number;
}

/** {@link WorkerOptions} with nothing left open. */
export interface WorkerPlan {
  readonly count: number;
  readonly ports: "shared" | "own";
  readonly entry: string | undefined;
  readonly startTimeoutMs: number;
}

const MAX_COUNT = 1024;
const DEFAULT_START_TIMEOUT_MS = 30_000;

const SPECS: OptionSpecs = {
  count: { kind: "any" },
  ports: { kind: "one-of", values: ["shared", "own"] },
  entry: { kind: "string" },
  startTimeoutMs: { kind: "number", min: 1, max: 0x7fffffff, unit: "ms" },
};

/** What `options.workers` means. */
export function workerPlan(workers: number | "auto" | WorkerOptions): WorkerPlan {
  const options: WorkerOptions = typeof workers === "object" ? workers : { count: workers };
  const { ports = "shared", entry, startTimeoutMs = DEFAULT_START_TIMEOUT_MS } = options;
  return { count: options.count === "auto" ? availableParallelism() : options.count, ports, entry, startTimeoutMs };
}

/** @throws TypeError or RangeError when `options.workers` is wrong, or does not go with another option of the server */
export function checkWorkers(options: ServerOptions): void {
  const { workers } = options;
  if (workers === undefined) return;
  if (typeof workers === "object" && workers !== null) {
    checkOptions("createServer options.workers", workers, SPECS);
    checkCount("createServer options.workers.count", workers.count);
  } else checkCount("createServer options.workers", workers);
  if (options.network !== undefined) {
    throw new TypeError(
      "createServer options.workers: processes can share ports of this machine only; leave out workers or network",
    );
  }
  const plan = workerPlan(workers);
  if (plan.ports === "own") checkOwnPorts(options, plan.count);
}

function checkCount(name: string, count: unknown): void {
  if (count === "auto") return;
  const allowed = `a whole number of processes from 1 to ${MAX_COUNT}, or "auto" for one a core`;
  if (typeof count !== "number") throw new TypeError(`${name} is ${JSON.stringify(count)}: give ${allowed}`);
  if (Number.isInteger(count) && count >= 1 && count <= MAX_COUNT) return;
  throw new RangeError(`${name} is ${count}: give ${allowed}; leave workers out to serve in this process`);
}

function checkOwnPorts({ listen, advertise }: ServerOptions, count: number): void {
  if (listen !== undefined) {
    const address = parseListenAddress(listen);
    if (isUnixAddress(address)) throw needsTcp("listen", listen);
    checkLastPort("listen", listen, address.port, count);
  }
  if (advertise === undefined) return;
  const field = "createServer options.advertise";
  const shown = typeof advertise === "string" ? advertise : JSON.stringify(advertise);
  if (readAdvertise(advertise, field).some(({ form }) => form.kind === "unix")) throw needsTcp("advertise", shown);
  const ports = advertisedPorts(advertise, field);
  for (const port of ports) checkLastPort("advertise", shown, port, count);
  if (ports.length > 0 && portOf(listen ?? ":0") === 0) {
    throw new TypeError(
      `createServer options.advertise is ${shown}, but with ports: "own" and listen port 0 nobody knows which ports it stands for; ` +
        "give listen a port",
    );
  }
}

function needsTcp(option: string, shown: string): TypeError {
  return new TypeError(`createServer options.${option} is ${shown}, but workers with ports: "own" need a TCP port`);
}

function checkLastPort(option: string, shown: string, port: number, count: number): void {
  const last = port + count - 1;
  if (port === 0 || last <= 65_535) return;
  throw new RangeError(
    `createServer options.${option} is ${shown}: ${count} workers with ports of their own would need ports up to ${last}; 65535 is the last`,
  );
}

function portOf(listen: string): number {
  const address = parseListenAddress(listen);
  return isUnixAddress(address) ? -1 : address.port;
}

/** The options of worker `id` (from 1) if each has a port of its own: `listen` and `advertise` count up, ids in the registry differ. */
export function ownPortOptions(options: ServerOptions, id: number): Partial<ServerOptions> {
  const { listen, advertise, instanceId } = options;
  return {
    ...(listen === undefined ? {} : { listen: withNextPort(listen, id - 1) }),
    ...(advertise === undefined ? {} : { advertise: withNextPorts(advertise, id - 1) }),
    ...(instanceId === undefined ? {} : { instanceId: `${instanceId}-${id}` }),
  };
}

function withNextPort(text: string, offset: number): string {
  const address = parseListenAddress(text);
  if (isUnixAddress(address) || address.port === 0) return text;
  return formatAddress({ host: address.host, port: address.port + offset });
}

/** The address to listen on so that `bound`, which port 0 has led to, is bound again; `listen` itself if that names a port. */
export function samePort(listen: string, bound: string): string {
  const [wanted, had] = [parseListenAddress(listen), parseAddress(bound)];
  if (isUnixAddress(wanted) || isUnixAddress(had) || wanted.port !== 0) return listen;
  return formatAddress({ host: wanted.host, port: had.port });
}
