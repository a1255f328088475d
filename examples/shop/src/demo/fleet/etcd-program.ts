import { execFile } from "node:child_process";
import { access, constants, mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Built when nothing else is there; any etcd from 3.4 on would do. */
const VERSION = "v3.6.16";
const MODULE = "go.etcd.io/etcd/server/v3";
const INSTALL_PATIENCE_MS = 900_000;

/**
 * The path of an etcd: on PATH, built before, a Debian package when this user may install one, or built with Go. `say` is told of what takes
 * long. Rejects with what to do when none of that works.
 */
export async function findEtcd(say: (text: string) => void): Promise<string> {
  const built = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bowline-shop", `etcd-${VERSION}`);
  const known = (await onPath("etcd")) ?? ((await isProgram(built)) ? built : undefined);
  if (known !== undefined) return known;
  const ways = [
    { name: "the Debian package etcd-server", install: installPackage },
    { name: `Go (etcd ${VERSION}, some minutes)`, install: (begin: () => void) => build(built, begin) },
  ];
  const reasons: string[] = [];
  for (const { name, install } of ways) {
    try {
      return await install(() => say(`installing etcd by ${name} …`));
    } catch (error) {
      reasons.push(`${name}: ${(error as Error).message.trim().split("\n").at(-1)}`);
    }
  }
  throw new Error(
    `--registry etcd needs an etcd, and none can be had here: none on PATH; ${reasons.join("; ")}. Install etcd 3.4 or newer, or leave --registry out`,
  );
}

async function installPackage(begin: () => void): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error("only root may install packages");
  if ((await onPath("apt-get")) === undefined) throw new Error("there is no apt-get");
  begin();
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const args = ["install", "--yes", "--no-install-recommends", "etcd-server"];
  // A machine that has never asked for its lists knows no package.
  await run("apt-get", args, { env, timeout: INSTALL_PATIENCE_MS }).catch(async () => {
    await run("apt-get", ["update"], { env, timeout: INSTALL_PATIENCE_MS });
    await run("apt-get", args, { env, timeout: INSTALL_PATIENCE_MS });
  });
  const installed = await onPath("etcd");
  if (installed === undefined) throw new Error("the package has no program etcd");
  return installed;
}

async function build(path: string, begin: () => void): Promise<string> {
  const go = await onPath("go");
  if (go === undefined) throw new Error("there is no go on PATH");
  begin();
  const folder = `${path}.new-${process.pid}`;
  await mkdir(folder, { recursive: true });
  const options = {
    cwd: folder,
    env: { ...process.env, GOFLAGS: "-mod=mod", GOWORK: "off", CGO_ENABLED: "0" },
    timeout: INSTALL_PATIENCE_MS,
  };
  try {
    // In a module of our own: `go install` refuses programs whose go.mod replaces modules, as etcd's does.
    await run(go, ["mod", "init", "shop.local/etcd"], options);
    await run(go, ["get", `${MODULE}@${VERSION}`], options);
    await run(go, ["build", "-o", "etcd", MODULE], options);
    await rename(join(folder, "etcd"), path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return path;
}

async function onPath(program: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, program);
    if (folder !== "" && (await isProgram(path))) return path;
  }
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
