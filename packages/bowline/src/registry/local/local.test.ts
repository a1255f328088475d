import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { registryContract } from "../../../../../test/registry/contract.ts";
import { instance } from "../../../test/local-machine.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";
import type { Registry } from "../registry.ts";
import { nodeFileSystem } from "./file-system.ts";
import { fileName, leaseFileName } from "./lease-file.ts";
import { createLocalRegistry, type LocalOptions, local } from "./local.ts";
import { rootDirectory } from "./options.ts";

const CONTEXT = { clock: systemClock, random: systemRandom, environment: {} };
const newDirectory = (): Promise<string> => mkdtemp(join(tmpdir(), "bowline-test-"));

let contractDirectory = "";
const contractPath = (service: string): string => join(contractDirectory, "default", fileName(service));

registryContract("local", {
  open: async () => {
    contractDirectory = await newDirectory();
  },
  close: () => rm(contractDirectory, { recursive: true }),
  create: (context) => local({ directory: contractDirectory }).create(context),
  lose: (service, { id }) => rm(join(contractPath(service), leaseFileName(id))),
  writeBad: async (service) => {
    const path = contractPath(service);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "empty.json"), "");
    await writeFile(join(path, "half.json"), '{"format":1,"serv');
    await writeFile(join(path, "huge.json"), Buffer.alloc(1_048_576, "x"));
    return 3;
  },
});

describe("a local registry on a real disk", () => {
  let directory: string;
  const registries: Registry[] = [];
  const open = (options: LocalOptions = {}): Registry => {
    const registry = createLocalRegistry({ directory, ...options }, CONTEXT);
    registries.push(registry);
    return registry;
  };
  beforeEach(async () => {
    directory = await newDirectory();
  });
  afterEach(async () => {
    await Promise.all(registries.splice(0).map((registry) => registry.close()));
    await rm(directory, { recursive: true, force: true });
  });

  it("keeps everything for this user alone", async () => {
    const own = join(directory, "deep", "own");
    await open({ directory: own }).register("user.rpc", instance("a"));
    const modes = ["..", ".", "default", "default/user.rpc", "default/user.rpc/a.json"].map(
      async (path) => (await stat(join(own, path))).mode & 0o777,
    );
    expect(await Promise.all(modes)).toEqual([0o700, 0o700, 0o700, 0o700, 0o600]);
  });

  it("shows 200 instances to a watch, and their end", async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `user-${index}`);
    const servers = open();
    const seen = new WatchRecorder(open(), "user.rpc");
    await Promise.all(ids.map((id) => servers.register("user.rpc", instance(id))));
    await seen.untilIds(...ids);
    await servers.close();
    await seen.untilIds();
    expect(seen.failures).toEqual([]);
    expect(await readdir(join(directory, "default", "user.rpc"))).toEqual([]);
  });

  it("puts all back after the whole directory was taken away, and nobody misses anyone", async () => {
    const servers = open();
    const seen = new WatchRecorder(open(), "user.rpc");
    await Promise.all(["a", "b", "c"].map((id) => servers.register("user.rpc", instance(id))));
    await seen.untilIds("a", "b", "c");
    const before = seen.snapshots.length;
    await rename(directory, `${directory}-taken`);
    await new WatchRecorder(open(), "user.rpc").untilIds("a", "b", "c");
    await servers.register("user.rpc", instance("d"));
    await seen.untilIds("a", "b", "c", "d");
    expect(seen.snapshots.slice(before).filter(({ instances }) => instances.length < 3)).toEqual([]);
    expect(await readdir(join(directory, "default", "user.rpc"))).toHaveLength(4);
    await rm(`${directory}-taken`, { recursive: true });
  });

  it("waits for nobody to write into a pipe that took the place of a file", async () => {
    const pipe = join(directory, "pipe.json");
    execFileSync("mkfifo", [pipe]);
    expect(await nodeFileSystem.read(pipe, 10).catch(() => "")).toBe("");
  });

  it("skips real rubbish", async () => {
    const path = join(directory, "default", "user.rpc");
    await open().register("user.rpc", instance("good"));
    await writeFile(join(path, "empty.json"), "");
    await writeFile(join(path, "half.json"), '{"format":1,"serv');
    await writeFile(join(path, "bytes.json"), Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    await writeFile(join(path, "huge.json"), Buffer.alloc(10_000_000, "x"));
    await symlink("/etc/passwd", join(path, "link.json"));
    await mkdir(join(path, "folder.json"));
    const seen = new WatchRecorder(open(), "user.rpc");
    await seen.untilIds("good");
    await seen.untilFailure(/huge/);
    expect(seen.messages.map((text) => text.slice(text.lastIndexOf("/") + 1)).sort()).toEqual([
      "bytes.json: it is no JSON; remove it",
      "empty.json: it is empty; remove it",
      "folder.json: it is a directory, no file; remove it",
      "half.json: it is no JSON; remove it",
      "huge.json: it has 10000000 bytes, at most 65536 are read; remove it",
      "link.json: it is a link, no file; remove it",
    ]);
  });

  it("refuses a directory that others may write to, and a file in its place", async () => {
    await chmod(directory, 0o777);
    await expect(open().register("user.rpc", instance("a"))).rejects.toThrow(/other users may write there/);
    await chmod(directory, 0o700);
    await writeFile(join(directory, "default"), "");
    await expect(open().register("user.rpc", instance("a"))).rejects.toThrow(/a part of the path is a file/);
  });
});

describe("options of the local registry", () => {
  it("lead to the user's own directory", () => {
    expect(rootDirectory({}, { XDG_RUNTIME_DIR: "/run/user/1000" })).toBe("/run/user/1000/bowline");
    expect(rootDirectory({ directory: "/data" }, { XDG_RUNTIME_DIR: "/run/user/1000" })).toBe("/data");
    const fallback = join(tmpdir(), `bowline-${process.getuid?.()}`);
    expect([{}, { XDG_RUNTIME_DIR: "" }, { XDG_RUNTIME_DIR: "run" }].map((env) => rootDirectory({}, env))).toEqual([
      fallback,
      fallback,
      fallback,
    ]);
  });

  it("are checked before anything runs", () => {
    expect(() => local({ directory: "leases" })).toThrow(/directory: "leases" is no absolute path; write it as/);
    expect(() => local({ namespace: "" })).toThrow(/namespace: "" is no name/);
    expect(() => createLocalRegistry({ directory: 7 as unknown as string }, CONTEXT)).toThrow(TypeError);
  });
});
