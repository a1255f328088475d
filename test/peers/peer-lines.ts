/** Prints one line of JSON on stdout, where the harness reads it. */
export function printLine(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * What every peer program of ours does: says that it is ready, reports its CPU time and memory on SIGHUP, ends on SIGTERM and when the
 * harness is gone. Started with `--expose-gc` it collects its garbage before it reports memory.
 */
export function announce(details: Readonly<Record<string, unknown>>): void {
  process.on("SIGHUP", () => {
    const { user, system } = process.cpuUsage();
    // Twice: what finalizers let go in the first is collected in the second.
    for (let round = 0; round < 2; round++) globalThis.gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    const memory = { rss_bytes: rss, heap_bytes: heapUsed + external, external_bytes: external };
    printLine({ event: "usage", cpu_seconds: (user + system) / 1e6, ...memory });
  });
  process.on("SIGTERM", () => process.exit(0));
  process.stdin.on("end", () => process.exit(0)).resume();
  printLine({ ready: true, pid: process.pid, ...details });
}
