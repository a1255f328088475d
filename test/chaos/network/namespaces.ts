import { existsSync, readdirSync, readFileSync } from "node:fs";
import { runTool } from "./system-tool.ts";

/**
 * Network namespaces that end with this process at the latest. Their names carry its pid and the time of its start, `bowline-PID-START-N-NAME`:
 * whoever makes namespaces next finds those of a process that was killed, and removes them.
 */

/** Where `ip netns` keeps names. */
const FOLDER = "/run/netns";
const PATTERN = /^bowline-(\d+)-(\d+)-\d+-/;
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const own: Set<string> = new Set();
let count = 0;
let isWatching = false;

/** Makes a namespace whose `lo` is up, and gives its name. */
export function addNamespace(label: string): string {
  watchEnd();
  const name = `bowline-${process.pid}-${startOf(process.pid) ?? 0}-${++count}-${label}`;
  runTool("ip", ["netns", "add", name]);
  own.add(name);
  runTool("ip", ["-n", name, "link", "set", "lo", "up"]);
  return name;
}

/** Ends what still runs in it and removes it, with its links. */
export function removeNamespace(name: string): void {
  own.delete(name);
  if (!existsSync(`${FOLDER}/${name}`)) return;
  for (const pid of runTool("ip", ["netns", "pids", name]).split("\n")) {
    if (pid !== "") kill(Number(pid));
  }
  runTool("ip", ["netns", "delete", name]);
}

/** Removes the namespaces of processes that are gone, with what they left running in them. Returns their names. */
export function sweepNamespaces(): readonly string[] {
  if (!existsSync(FOLDER)) return [];
  const left = readdirSync(FOLDER).filter((name) => {
    const [, pid, start] = PATTERN.exec(name) ?? [];
    return pid !== undefined && startOf(Number(pid)) !== start;
  });
  for (const name of left) removeNamespace(name);
  return left;
}

/** When a process was started, in ticks since the boot; undefined when it has ended. A pid alone may be another's by now. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 3 is the state, field 22 the time; field 2 is a name in brackets that may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself meanwhile.
  }
}

function watchEnd(): void {
  if (isWatching) return;
  isWatching = true;
  process.on("exit", removeOwn);
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      // Who else listens ends the process in another way; `exit` comes then.
      if (process.listenerCount(signal) === 1) process.exit(code);
    });
  }
}

function removeOwn(): void {
  for (const name of own) {
    try {
      removeNamespace(name);
    } catch (error) {
      console.error(String(error));
    }
  }
}
