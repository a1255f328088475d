import { readdir, readFile, readlink } from "node:fs/promises";

/** State of a listening socket in /proc/net/tcp. */
const TCP_LISTEN = "0A";

/** Bounds of the search: it serves one error message and must not hold up a start on a machine with many processes. */
const MAX_PROCESSES = 4096;
const MAX_DESCRIPTORS = 65_536;

/** Longest command line shown. */
const MAX_COMMAND_CHARS = 80;

/**
 * Names the process that listens on a TCP port of this machine, for a message: `process 4711 (node server.js)`.
 *
 * Undefined where it can't be found out: systems without /proc, processes of other users or outside this container.
 */
export async function portOwner(port: number): Promise<string | undefined> {
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(readTable));
  return ownerOf(tables.flat().flatMap((line) => listeningInode(line, port)));
}

/** The same for the path of a Unix socket. */
export async function unixSocketOwner(path: string): Promise<string | undefined> {
  const lines = await readTable("/proc/net/unix");
  return ownerOf(lines.filter((line) => line.endsWith(` ${path}`)).map((line) => line.trim().split(/\s+/)[6]));
}

async function readTable(file: string): Promise<readonly string[]> {
  const text = await readFile(file, "latin1").catch(() => "");
  return text.split("\n").slice(1);
}

/** Columns: sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode … (proc(5)). */
function listeningInode(line: string, port: number): readonly string[] {
  const columns = line.trim().split(/\s+/);
  const isWanted = columns[3] === TCP_LISTEN && Number.parseInt(columns[1]?.split(":")[1] ?? "", 16) === port;
  return isWanted && columns[9] !== undefined ? [columns[9]] : [];
}

async function ownerOf(inodes: readonly string[]): Promise<string | undefined> {
  if (inodes.length === 0) return undefined;
  const wanted = new Set(inodes.map((inode) => `socket:[${inode}]`));
  const processes = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  let looked = 0;
  for (const pid of processes.slice(0, MAX_PROCESSES)) {
    const links = await descriptors(pid);
    if (links.some((link) => wanted.has(link))) return `process ${pid}${await commandOf(pid)}`;
    looked += links.length;
    if (looked > MAX_DESCRIPTORS) return undefined;
  }
  return undefined;
}

async function descriptors(pid: string): Promise<readonly string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  return Promise.all(
    names.slice(0, MAX_DESCRIPTORS).map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")),
  );
}

async function commandOf(pid: string): Promise<string> {
  const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
  return command === "" ? "" : ` (${command.slice(0, MAX_COMMAND_CHARS)})`;
}
