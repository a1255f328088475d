import { Command, InvalidArgumentError, Option } from "commander";
import type { DoctorFlags } from "../discovery/doctor/doctor.ts";
import type { ListFlags } from "../discovery/list/instance-row.ts";
import type { WatchFlags } from "../discovery/watch/watch.ts";
import type { Terminal } from "../terminal.ts";

const TARGETS = `
Targets:
  user.rpc                                 in the embedded registry of this machine (local:///user.rpc)
  etcd://10.0.0.1:2379/user.rpc            also etcd:///10.0.0.1:2379?key=user.rpc, as go-zero writes it
  consul://127.0.0.1:8500/user.rpc
  dns:///user.internal:8080  static:///10.0.0.7:8080,10.0.0.8:8080  10.0.0.7:8080  unix:///run/user.sock`;

const DEFAULT_TIMEOUT_MS = 3000;

/** `bowline doctor`: why can't I reach it? */
export function doctorCommand(terminal: Terminal): Command {
  return calling(reaching(new Command("doctor")))
    .description("Try each instance of a service as a client would, and say what is wrong")
    .argument("<target>", "the service, as a client names it")
    .option("--server-name <name>", "what certificates are asked for; default: the host of each address")
    .addHelpText(
      "after",
      `
Per address: resolve, TCP, TLS, HTTP/2, health, with the time of each, and in words what is wrong and the setting that mends it.
With --network or --rewrite only the address is tried that a client with these settings takes, and the report says why it is that one;
without them all addresses are tried. Exit code 1 when one can't be used.

Examples:
  bowline doctor etcd://10.0.0.1:2379/user.rpc
  bowline doctor etcd://10.0.0.1:2379/user.rpc --network vpc-a,public
  bowline doctor etcd://10.0.0.1:2379/user.rpc --rewrite 10.0.0.0/24=203.0.113.9
  bowline doctor 10.0.0.7:8080 --tls-ca ca.pem
${TARGETS}`,
    )
    .action(async (target: string, flags: DoctorFlags) => {
      const { runDoctor } = await import("../discovery/doctor/doctor.ts");
      await runDoctor(target, flags, terminal);
    });
}

/** `bowline ls`: who is there? */
export function listCommand(terminal: Terminal): Command {
  return calling(reaching(new Command("ls")))
    .description("List the instances of services, with what they say of their health, or the services of a registry")
    .argument(
      "[targets...]",
      "services, as clients name them, or registries; default: the embedded registry of this machine",
    )
    .option("--no-health", "don't call the instances")
    .addHelpText(
      "after",
      `
Examples:
  bowline ls
  bowline ls etcd://10.0.0.1:2379
  bowline ls user.rpc order.rpc
  bowline ls etcd://10.0.0.1:2379/user.rpc --json
${TARGETS}`,
    )
    .action(async (targets: string[], flags: ListFlags) => {
      const { runList } = await import("../discovery/list/list.ts");
      await runList(targets, flags, terminal);
    });
}

/** `bowline watch`: what changes? */
export function watchCommand(terminal: Terminal): Command {
  return reaching(new Command("watch"))
    .description("Print each change of a service's instances, until Ctrl-C")
    .argument("<target>", "the service, as a client names it")
    .option("--json", "a line of JSON for each change")
    .addHelpText(
      "after",
      `
Examples:
  bowline watch etcd://10.0.0.1:2379/user.rpc
  bowline watch user.rpc --json | jq .instance.addresses
${TARGETS}`,
    )
    .action(async (target: string, flags: WatchFlags) => {
      const { runWatch } = await import("../discovery/watch/watch.ts");
      const { untilInterrupted } = await import("../generate/interrupt.ts");
      await untilInterrupted((signal) => {
        return runWatch(target, flags, terminal, AbortSignal.any([signal, terminal.unread]));
      });
    });
}

/** The options that say which client it is whose way is looked at. */
function reaching(command: Command): Command {
  const many =
    (split: (text: string) => readonly string[]) => (text: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      ...split(text),
    ];
  return command
    .option(
      "--network <names>",
      "the client's option networks: those it is in, the preferred one first, such as vpc-a,public",
      many((names) => names.split(",")),
    )
    .option(
      "--rewrite <from=to>",
      "a rule of the client's option rewrite: a host or CIDR, with or without a port; may be given again",
      many((rule) => [rule]),
    );
}

/** The options of commands that call instances. */
function calling(command: Command): Command {
  return command
    .option("--json", "print the result as JSON")
    .addOption(
      new Option("--timeout <ms>", "for the registry's answer, and for each step of a call")
        .default(DEFAULT_TIMEOUT_MS)
        .argParser(milliseconds),
    )
    .option("--tls", "call with TLS, trusting the authorities that come with Node")
    .option("--tls-ca <file>", "call with TLS, trusting the authorities in a PEM file")
    .option("--tls-cert <file>", "own certificate, PEM, for servers that ask for one")
    .option("--tls-key <file>", "its key, PEM");
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 600_000) return value;
  throw new InvalidArgumentError("It must be a whole number of ms from 1 to 600000.");
}
