import { CommandError } from "../../command-error.ts";
import type { Terminal } from "../../terminal.ts";
import { readTlsFiles, type TlsFlags } from "../probe/tls-files.ts";
import { namesClient, type ReachFlags, reachOf } from "../reach.ts";
import { absentService } from "../registry/absent-service.ts";
import { type LookUp, lookUp, withScheme } from "../registry/look-up.ts";
import { isShared, registryUrl } from "../registry/registry-url.ts";
import { doctorJson, doctorText } from "./doctor-report.ts";
import { type Examined, examine } from "./examine.ts";

/** The flags of `bowline doctor`. */
export interface DoctorFlags extends TlsFlags, ReachFlags {
  readonly json?: boolean;
  /** For each step, in ms. */
  readonly timeout: number;
  readonly serverName?: string;
}

/** A registry is given this long, in ms, however short a step may be. */
const MIN_LOOK_UP_MS = 1000;

/**
 * `bowline doctor`: looks a target up and tries its instances as a client would: at each of their addresses, or, where flags say which
 * client it is, at those that this client takes.
 *
 * @throws CommandError when the target can't be looked up, has no instances, or one of them can't be used or read
 */
export async function runDoctor(target: string, flags: DoctorFlags, terminal: Terminal): Promise<void> {
  const reach = reachOf(flags);
  const tls = await readTlsFiles(flags);
  const lookUpMs = Math.max(flags.timeout, MIN_LOOK_UP_MS);
  const found = await lookUp(target, lookUpMs);
  const { instances } = found.snapshot;
  const networks = flags.network ?? [];
  const examined = await examine({
    instances,
    reaches: reach(instances),
    networks,
    triesAll: !namesClient(flags),
    isRegistered: registryUrl(withScheme(target)) !== null,
    isRegistryShared: isShared(target),
    timeoutMs: flags.timeout,
    tls,
    serverName: flags.serverName,
  });
  const report = { target, found, examined, networks };
  terminal.write(flags.json === true ? doctorJson(report) : doctorText(report));
  if (instances.length === 0) throw await absentService(target, found, lookUpMs);
  complain(found, examined);
}

function complain({ skipped }: LookUp, examined: readonly Examined[]): void {
  const ill = examined.filter(({ diagnosis }) => diagnosis !== null).length;
  const what = examined.every(({ address }) => address !== null) ? "addresses" : "instances";
  const problems = [
    ...(ill === 0 ? [] : [`${ill} of ${examined.length} ${what} can't be used as they are`]),
    ...(skipped === 0 ? [] : [`${skipped} ${skipped === 1 ? "entry" : "entries"} of the registry can't be read`]),
  ];
  if (problems.length > 0) throw new CommandError(problems.join("; "));
}
