import { styleText } from "node:util";
import type { Instance } from "bowline/registry";
import { CommandError } from "../command-error.ts";
import type { Terminal } from "../terminal.ts";
import { ownNetworks } from "./address-kind.ts";
import { type Diagnosis, diagnose } from "./diagnosis.ts";
import { type LookUp, lookUp, withScheme } from "./look-up.ts";
import { type ProbeOptions, probe, type Step } from "./probe.ts";
import { table } from "./table.ts";
import { readTlsFiles, type TlsFlags } from "./tls-files.ts";

/** The flags of `bowline doctor`. */
export interface DoctorFlags extends TlsFlags {
  readonly json?: boolean;
  /** For each step, in ms. */
  readonly timeout: number;
  readonly serverName?: string;
}

/** One address of one instance, tried. */
interface Examined {
  readonly instance: string;
  readonly address: string;
  readonly network: string;
  readonly state: string;
  readonly steps: readonly Step[];
  readonly diagnosis: Diagnosis | null;
}

/** Instances that are tried at the same time: enough for a fleet, few enough for a laptop's sockets. */
const MAX_AT_ONCE = 16;

/**
 * `bowline doctor`: looks a target up and tries each address of each instance as a client would.
 *
 * @throws CommandError when the target can't be looked up, has no instances, or one of them can't be used
 */
export async function runDoctor(target: string, flags: DoctorFlags, terminal: Terminal): Promise<void> {
  const tls = await readTlsFiles(flags);
  const found = await lookUp(target, Math.max(flags.timeout, 1000));
  const options = { timeoutMs: flags.timeout, tls, serverName: flags.serverName };
  const examined = await examineAll(found.snapshot.instances, options, isRemote(target));
  if (flags.json === true) terminal.write(`${JSON.stringify(report(target, found, examined))}\n`);
  else print(target, found, examined, terminal);
  const ill = examined.filter(({ diagnosis }) => diagnosis !== null).length;
  if (found.snapshot.instances.length === 0) {
    throw new CommandError(
      `${target} has no instances: the registry answers, but nobody has registered under this name`,
      "Compare the name with createServer's option name, and with --json what else the registry told.",
    );
  }
  if (ill > 0) throw new CommandError(`${ill} of ${examined.length} addresses can't be used as they are`);
}

/** What is in the target's registry is read on other machines, too. */
function isRemote(target: string): boolean {
  return (
    /^[a-z]/.test(target) && !/^(static|direct|dns|local|unix):/.test(withScheme(target)) && target.includes("://")
  );
}

async function examineAll(
  instances: readonly Instance[],
  options: ProbeOptions,
  isRegistryRemote: boolean,
): Promise<readonly Examined[]> {
  const networks = ownNetworks();
  const todo = instances.flatMap((instance) => instance.addresses.map((each) => ({ instance, ...each })));
  const done: Examined[] = [];
  const work = async (): Promise<void> => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      const { instance, address, network } = next;
      const steps = await probe(address, options);
      const diagnosis = diagnose(address, steps, { ownNetworks: networks, isRegistryRemote, network });
      done.push({ instance: instance.id, address, network, state: instance.state, steps, diagnosis });
    }
  };
  await Promise.all(Array.from({ length: MAX_AT_ONCE }, work));
  return done.sort((a, b) => (a.address < b.address ? -1 : 1));
}

function report(target: string, { snapshot, complaints, ms }: LookUp, examined: readonly Examined[]): object {
  const { freshness, revision } = snapshot;
  return { target, lookUp: { ms: Math.round(ms), freshness, revision, complaints }, addresses: examined };
}

function print(target: string, found: LookUp, examined: readonly Examined[], terminal: Terminal): void {
  const { instances, freshness } = found.snapshot;
  const count = `${instances.length} ${instances.length === 1 ? "instance" : "instances"}`;
  terminal.write(`${target}  ${count}, ${freshness}, looked up in ${Math.round(found.ms)} ms\n`);
  for (const complaint of found.complaints) terminal.write(`${mark(false)} ${complaint}\n`);
  for (const each of examined) {
    const { instance, address, network, state, diagnosis } = each;
    const notes = [network, state === "ready" ? "" : state].filter((note) => note !== "").join(", ");
    const name = instance === address ? "" : `  ${paint("dim", instance)}`;
    terminal.write(`\n${mark(diagnosis === null)} ${address}${notes === "" ? "" : ` (${notes})`}${name}\n`);
    terminal.write(table(each.steps.map((step) => ["   ", step.name, `${step.ms.toFixed(1)} ms`, stepText(step)])));
    if (diagnosis === null) continue;
    terminal.write(`    ${paint("bold", diagnosis.problem)}\n`);
    for (const remedy of diagnosis.remedies) terminal.write(`    - ${remedy}\n`);
  }
}

function stepText({ isOk, detail, code }: Step): string {
  return isOk ? detail : paint("red", code === "" ? detail : `${code}: ${detail}`);
}

function mark(isGood: boolean): string {
  return isGood ? paint("green", "✓") : paint("red", "✗");
}

function paint(style: "bold" | "dim" | "green" | "red", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
