/** Prints one line of JSON on stdout, where the harness reads it. */
export function printLine(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * What every peer program of ours does: says that it is ready, reports its CPU time on SIGHUP, ends on SIGTERM and when the
 * harness is gone.
 */
export function announce(details: Readonly<Record<string, unknown>>): void {
  process.on("SIGHUP", () => {
    const { user, system } = process.cpuUsage();
    printLine({ event: "usage", cpu_seconds: (user + system) / 1e6 });
  });
  process.on("SIGTERM", () => process.exit(0));
  process.stdin.on("end", () => process.exit(0)).resume();
  printLine({ ready: true, pid: process.pid, ...details });
}
