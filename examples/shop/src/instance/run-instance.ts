import { rmSync } from "node:fs";
import type { Channel, Server } from "bowline";
import { channelReport, type FromInstance, reportOf, type ToInstance } from "./report.ts";

/** An instance that is ready to run. */
export interface Instance {
  readonly name: string;
  readonly server: Server;
  /** What its state is made of, if it has any. */
  readonly journal?: { catchUp(): void };
  /** Those through which it calls others, by the name of the service. */
  readonly clients?: Readonly<Record<string, { readonly channel: Channel }>>;
}

/** How often an instance looks for what others have written. */
const CATCH_UP_MS = 50;
/** How often it reports to the process that has started it, if that is the demo. */
const REPORT_MS = 500;

/**
 * Starts an instance. From here on it runs until SIGTERM or Ctrl-C, on which the server stops in order and ends the process.
 *
 * An instance that the demo has started reports to it, and ends when the demo does.
 */
export async function runInstance({ name, server, journal, clients = {} }: Instance): Promise<void> {
  if (process.connected) endWithParent();
  await server.start();
  console.log(`${name} (process ${process.pid}) serves on ${server.address}`);
  tell({ kind: "ready", address: server.address });

  if (journal !== undefined) setInterval(() => journal.catchUp(), CATCH_UP_MS).unref();
  if (!process.connected) return;
  process.once("SIGTERM", () => tell({ kind: "stopping" }));
  const report = setInterval(() => {
    const channels = Object.entries(clients).map(([service, { channel }]) => channelReport(service, channel));
    tell({ kind: "report", methods: server.stats.map(reportOf), channels });
  }, REPORT_MS);
  report.unref();
}

function tell(message: FromInstance): void {
  // Whoever listened may have gone this moment; that is dealt with below.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/** Nobody else would ever stop it: no parent, no instance. */
function endWithParent(): void {
  let leftovers: readonly string[] = [];
  process.on("message", ({ removeWhenAlone }: ToInstance) => {
    leftovers = removeWhenAlone;
  });
  process.once("disconnect", () => {
    for (const path of leftovers) rmSync(path, { recursive: true, force: true });
    process.exit(0);
  });
}
