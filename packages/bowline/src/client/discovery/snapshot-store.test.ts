import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryFileSystem } from "../../../test/memory-file-system.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import { nodeFileSystem } from "../../registry/local/file-system.ts";
import type { Instance } from "../../registry/registry.ts";
import { seededRandom } from "../../rpc/random.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import { decodeSnapshot, encodeSnapshot, snapshotFileName } from "./snapshot-file.ts";
import { defaultSnapshotFolder } from "./snapshot-folder.ts";
import { MAX_AGE_MS, SnapshotStore, WRITE_PERIOD_MS } from "./snapshot-store.ts";

const FOLDER = "/cache/bowline/snapshots";
const SOURCE = "etcd  user.rpc";
const PATH = `${FOLDER}/${snapshotFileName(SOURCE)}`;

const some: Instance = {
  id: "user-1",
  addresses: [
    { address: "10.0.0.7:8080", network: "vpc-a" },
    { address: "[fd00::7]:8080", network: "" },
  ],
  weight: 2.5,
  zone: "a",
  version: "1.2",
  tags: { ünïcode: "\n\u2028" },
  state: "draining",
};

describe("a snapshot file", () => {
  it("gives back what was written", () => {
    const snapshot = { source: SOURCE, savedAtMs: 17, instances: [some, instanceAt("a:1")] };
    expect(decodeSnapshot(encodeSnapshot(snapshot), SOURCE)).toEqual(snapshot);
  });

  it("is used only if nothing of it is missing or altered", () => {
    const text = encodeSnapshot({ source: SOURCE, savedAtMs: 17, instances: [some] });
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(127), (at, code) => {
        expect(() => decodeSnapshot(text.slice(0, at), SOURCE)).toThrow(/^is /);
        const letter = String.fromCharCode(code);
        if (text[at] === letter) return;
        expect(() => decodeSnapshot(text.slice(0, at) + letter + text.slice(at + 1), SOURCE)).toThrow(/^is /);
      }),
      { numRuns: 2000 },
    );
  });

  it("says what is wrong with it", () => {
    const text = encodeSnapshot({ source: SOURCE, savedAtMs: 17, instances: [some] });
    expect(() => decodeSnapshot(text, "etcd  other.rpc")).toThrow("is of another target: etcd  user.rpc");
    expect(() => decodeSnapshot(text.replace("snapshot-1", "snapshot-2"), SOURCE)).toThrow(/another version/);
    expect(() => decodeSnapshot(text.slice(0, -1), SOURCE)).toThrow("is cut off");
    const forged = encodeSnapshot({ source: SOURCE, savedAtMs: 17, instances: [{ ...some, weight: -1 }] });
    expect(() => decodeSnapshot(forged, SOURCE)).toThrow(/weight/);
  });

  it("loses an entry that no instance may be like, and no other", () => {
    const odd = [
      { ...some, id: "i".repeat(300) },
      { ...some, id: "a\u0007b" },
      { ...some, weight: Number.POSITIVE_INFINITY },
    ];
    const text = encodeSnapshot({ source: SOURCE, savedAtMs: 17, instances: [...odd, some, instanceAt("a:1")] });
    expect(decodeSnapshot(text, SOURCE)).toEqual({
      source: SOURCE,
      savedAtMs: 17,
      instances: [some, instanceAt("a:1")],
    });
  });

  it("has a name of its own for each source", () => {
    expect(snapshotFileName(SOURCE)).toMatch(/^[0-9a-f]{32}\.snapshot$/);
    expect(snapshotFileName(SOURCE)).not.toBe(snapshotFileName("etcd  ../user.rpc"));
  });
});

describe("a snapshot store", () => {
  let clock: VirtualClock;
  let files: MemoryFileSystem;
  let warnings: string[];
  beforeEach(() => {
    clock = new VirtualClock();
    files = new MemoryFileSystem(() => clock.now());
    warnings = [];
  });
  const store = (): SnapshotStore =>
    new SnapshotStore({
      files,
      clock,
      random: seededRandom(1),
      folder: FOLDER,
      source: SOURCE,
      warn: (text) => warnings.push(text),
    });
  const stored = async (): Promise<string[] | undefined> => (await store().load())?.instances.map(({ id }) => id);

  it("has nothing at first, which is no trouble", async () => {
    expect(await stored()).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it("writes a second after a change, and then every ten at most", async () => {
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await clock.advance(999);
    expect(await stored()).toBeUndefined();
    await clock.advance(1);
    expect(await stored()).toEqual(["a:1"]);
    for (let i = 0; i < 9; i++) {
      writer.keep([instanceAt(`b:${i + 1}`)]);
      await clock.advance(1000);
      expect(await stored()).toEqual(["a:1"]);
    }
    await clock.advance(WRITE_PERIOD_MS - 9000);
    expect(await stored()).toEqual(["b:9"]);
  });

  it("keeps what does not change from growing old, while the registry is live", async () => {
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await clock.advance(MAX_AGE_MS * 2);
    const { ageMs } = (await store().load()) as { ageMs: number };
    expect(ageMs).toBeLessThanOrEqual(3_600_000);
    writer.pause();
    await clock.advance(MAX_AGE_MS);
    expect(await stored()).toBeUndefined();
    expect(warnings).toEqual([`the snapshot ${PATH} is ignored: it is 7 days old, 7 are allowed`]);
    expect(clock.pending).toBe(0);
  });

  it("writes what is left when it is closed, and leaves no timer", async () => {
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await writer.close();
    writer.keep([instanceAt("b:1")]);
    expect(await stored()).toEqual(["a:1"]);
    expect(clock.pending).toBe(0);
  });

  it("does not put an empty list in place of a useful one", async () => {
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    writer.keep([]);
    await writer.close();
    expect(await stored()).toEqual(["a:1"]);
  });

  it("takes a file for new that a clock wrote which was ahead", async () => {
    await files.makeDirectory(FOLDER);
    files.write(PATH, encodeSnapshot({ source: SOURCE, savedAtMs: files.wallTimeMs() + 1e9, instances: [some] }));
    expect((await store().load())?.ageMs).toBe(0);
  });

  it("ignores what is damaged, with one warning", async () => {
    await files.makeDirectory(FOLDER);
    files.write(PATH, "{}");
    const reader = store();
    expect([await reader.load(), await reader.load()]).toEqual([null, null]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/snapshot .* is ignored: it is of another version/);
  });

  it("uses no folder in which others can write, and neither reads nor writes there", async () => {
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await clock.advance(1000);
    const before = files.nodes.get(PATH)?.text;
    (files.nodes.get(FOLDER) as { permissions: number }).permissions = 0o777;
    expect(await stored()).toBeUndefined();
    writer.keep([instanceAt("b:1")]);
    await writer.close();
    expect(files.nodes.get(PATH)?.text).toBe(before);
    expect(new Set(warnings).size).toBe(1);
    expect(warnings[0]).toMatch(/nobody else can write; set snapshotFolder/);
  });

  it("goes on without a disk that can be written, with one warning", async () => {
    files.faults = [{ operation: "makeDirectory", part: "/cache", code: "EROFS" }];
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await clock.advance(1000);
    writer.keep([instanceAt("b:1")]);
    await writer.close();
    expect(warnings).toEqual([`the snapshot ${PATH} is not written: it can't be used (EROFS): EROFS: ${FOLDER}`]);
  });

  it("removes what nobody will use any more", async () => {
    await files.makeDirectory(FOLDER);
    files.write(`${FOLDER}/old.snapshot`, "");
    files.write(`${FOLDER}/notes.txt`, "");
    await clock.advance(MAX_AGE_MS - 3_600_000);
    files.write(`${FOLDER}/half.snapshot.17-x.tmp`, "");
    await clock.advance(3_600_001);
    files.write(`${FOLDER}/young.snapshot`, "");
    files.write(`${FOLDER}/young.snapshot.17-x.tmp`, "");
    const writer = store();
    writer.keep([instanceAt("a:1")]);
    await writer.close();
    expect((await files.list(FOLDER)).toSorted()).toEqual(
      [snapshotFileName(SOURCE), "notes.txt", "young.snapshot", "young.snapshot.17-x.tmp"].toSorted(),
    );
  });

  it("takes 5,000 instances with tags, and nothing that is larger than its bound", async () => {
    const tags = { app: "user", team: "accounts" };
    const many = Array.from({ length: 5000 }, (_, i) => ({ ...instanceAt(`10.0.${i >> 8}.${i & 255}:80`), tags }));
    const writer = store();
    writer.keep(many);
    await clock.advance(1000);
    expect((await store().load())?.instances).toEqual(many);
    writer.keep(many.map((instance) => ({ ...instance, zone: "z".repeat(4000) })));
    await writer.close();
    expect(warnings[0]).toMatch(/is not written: it would be larger than 16777216 bytes/);
    expect((await store().load())?.instances).toEqual(many);
  });

  it("works on the machine's disk", async () => {
    const root = await mkdtemp(join(tmpdir(), "bowline-snapshots-"));
    try {
      const options = {
        files: nodeFileSystem,
        clock,
        random: seededRandom(2),
        folder: join(root, "a/b"),
        source: SOURCE,
      };
      const writer = new SnapshotStore({ ...options, warn: (text) => warnings.push(text) });
      writer.keep([some]);
      await writer.close();
      await settle();
      const reader = new SnapshotStore({ ...options, warn: (text) => warnings.push(text) });
      expect((await reader.load())?.instances).toEqual([some]);
      expect(await readdir(join(root, "a/b"))).toEqual([snapshotFileName(SOURCE)]);
      expect(warnings).toEqual([]);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

describe("the folder of snapshots", () => {
  it("lies in the user's cache", () => {
    expect(defaultSnapshotFolder({ XDG_CACHE_HOME: "/c", HOME: "/me" })).toBe("/c/bowline/snapshots");
    expect(defaultSnapshotFolder({ HOME: "/me" })).toBe("/me/.cache/bowline/snapshots");
    expect(defaultSnapshotFolder({ XDG_CACHE_HOME: "c", HOME: "/me" })).toBe("/me/.cache/bowline/snapshots");
  });
});
