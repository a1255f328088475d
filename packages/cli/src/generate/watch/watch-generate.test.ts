import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Recorder, recorder } from "../../../test/recorder.ts";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import type { GenerateRequest } from "../settings.ts";
import { watchGenerate } from "./watch-generate.ts";

const message = (name: string): string => `syntax = "proto3";\npackage p;\nmessage ${name} {}\n`;
/** The end of what a run prints. */
const DONE = "Ctrl-C ends\n";

/** A watch that runs until the test ends. */
interface Running {
  readonly terminal: Recorder;
  readonly ended: Promise<void>;
  stop(): void;
  at(path: string): string;
}

/** Starts to watch a folder with these files, and waits for the first run. */
async function watching(
  files: Readonly<Record<string, string>>,
  request: Partial<GenerateRequest> = {},
): Promise<Running> {
  const cwd = await workspaceFolder(files);
  const terminal = recorder();
  const controller = new AbortController();
  const ended = watchGenerate({ paths: [], cwd, ...request }, terminal, controller.signal);
  onTestFinished(async () => {
    controller.abort();
    await ended;
  });
  await terminal.seen(DONE);
  return { terminal, ended, stop: () => controller.abort(), at: (path) => join(cwd, path) };
}

describe("bowline generate --watch", () => {
  it("generates once, and again when a file changes", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A"), "proto/b.proto": message("B") });
    expect(terminal.out).toContain("4 files in gen, 0 unchanged\n");
    await writeFile(at("proto/a.proto"), message("Changed"));
    await terminal.seen("changed gen/a_pb.ts\nchanged gen/a_rpc.ts\n4 files in gen, 2 unchanged\n");
    expect(await readFile(at("gen/a_pb.ts"), "utf8")).toContain("export type Changed");
  });

  it("takes a burst of changes for one", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A") });
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    for (const name of names) await writeFile(at(`proto/${name}.proto`), message(name.toUpperCase()));
    await terminal.seen("new gen/n19_pb.ts");
    await terminal.seen(DONE);
    const runs = terminal.err.split(DONE).length - 1;
    expect(runs).toBeLessThan(names.length / 2);
  });

  it("sees files that editors replace, new folders, and what is deleted", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A") }, { clean: true });
    await writeFile(at("proto/a.proto~"), message("Replaced"));
    await rename(at("proto/a.proto~"), at("proto/a.proto"));
    await terminal.seen("changed gen/a_pb.ts");
    await terminal.seen(DONE);
    await mkdir(at("proto/deep/er"), { recursive: true });
    await writeFile(at("proto/deep/er/b.proto"), message("B"));
    await terminal.seen("new gen/deep/er/b_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("proto/deep/er/b.proto"), message("C"));
    await terminal.seen("changed gen/deep/er/b_pb.ts");
    await terminal.seen(DONE);
    await rm(at("proto/deep"), { recursive: true });
    await terminal.seen("gone gen/deep/er/b_pb.ts");
  });

  it("sees what is in a folder that is linked to", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A"), "shared/b.proto": message("B") });
    await symlink("../shared", at("proto/shared"));
    await terminal.seen("new gen/shared/b_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("shared/b.proto"), message("C"));
    await terminal.seen("changed gen/shared/b_pb.ts");
  });

  it("sees what is in a file that is linked to, by way of another link as well, and when it is written anew", async () => {
    const { terminal, at } = await watching({
      "proto/a.proto": message("A"),
      "far/b.proto": message("B"),
      "near/x": "",
    });
    await symlink("../far/b.proto", at("near/link"));
    await symlink("../near/link", at("proto/b.proto"));
    await terminal.seen("new gen/b_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("far/b.proto"), message("C"));
    await terminal.seen("changed gen/b_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("far/b.proto~"), message("D"));
    await rename(at("far/b.proto~"), at("far/b.proto"));
    await terminal.seen("changed gen/b_pb.ts");
    await terminal.seen(DONE);
    await rm(at("far/b.proto"));
    await terminal.seen("does not exist");
    await terminal.seen(DONE);
    await writeFile(at("far/b.proto"), message("E"));
    await terminal.seen("changed gen/b_pb.ts");
  });

  it("sees a folder that is removed and made again at once, as by a checkout", async () => {
    const { terminal, at } = await watching({ "proto/x/a.proto": message("A") });
    for (const name of ["B", "C", "D"]) {
      await rm(at("proto/x"), { recursive: true });
      await mkdir(at("proto/x"));
      await writeFile(at("proto/x/a.proto"), message(name));
      await terminal.seen("changed gen/x/a_pb.ts");
      await terminal.seen(DONE);
      await writeFile(at("proto/x/a.proto"), message(`${name}${name}`));
      await terminal.seen("changed gen/x/a_pb.ts");
      await terminal.seen(DONE);
    }
    for (const name of ["E", "F"]) {
      await rm(at("proto"), { recursive: true });
      await mkdir(at("proto/x"), { recursive: true });
      await writeFile(at("proto/x/a.proto"), message(name));
      await terminal.seen("changed gen/x/a_pb.ts");
      await terminal.seen(DONE);
    }
  });

  it("sees a folder that takes the place of another one", async () => {
    const { terminal, at } = await watching({ "proto/x/a.proto": message("A"), "new/x/a.proto": message("B") });
    await rename(at("proto"), at("old"));
    await rename(at("new"), at("proto"));
    await terminal.seen("changed gen/x/a_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("proto/x/a.proto"), message("C"));
    await terminal.seen("changed gen/x/a_pb.ts");
  });

  it("shows a fault, and goes on", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A") });
    await writeFile(at("proto/a.proto"), message("A {"));
    await terminal.seen("proto/a.proto:3:");
    await terminal.seen("nothing was written");
    await terminal.seen(DONE);
    await writeFile(at("proto/a.proto"), message("Mended"));
    await terminal.seen("changed gen/a_pb.ts");
  });

  it("waits for what is not there: the folder, or an import", async () => {
    const { terminal, at } = await watching({ "third/x.proto": message("X") }, { include: ["third"] });
    expect(terminal.err).toContain("nothing to generate from");
    await mkdir(at("proto"));
    await writeFile(at("proto/a.proto"), 'syntax = "proto3"; import "later/b.proto"; message A { p.B b = 1; }');
    await terminal.seen("third");
    await terminal.seen(DONE);
    await mkdir(at("third/later"));
    await writeFile(at("third/later/b.proto"), message("B"));
    await terminal.seen("new gen/a_pb.ts");
    await terminal.seen(DONE);
    await rename(at("proto"), at("elsewhere"));
    await terminal.seen("nothing to generate from");
    await terminal.seen(DONE);
    await rename(at("elsewhere"), at("proto"));
    await terminal.seen("files in gen, ");
  });

  it("follows the configuration, also one that comes, breaks and goes", async () => {
    const { terminal, at } = await watching({ "api/a.proto": message("A"), "proto/b.proto": message("B") });
    await writeFile(at("bowline.gen.yaml"), "inputs: api\nout: lib\n");
    await terminal.seen("new lib/a_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("api/a.proto"), message("Watched"));
    await terminal.seen("changed lib/a_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("bowline.gen.yaml"), "input: api\n");
    await terminal.seen("there is no key `input`");
    await terminal.seen(DONE);
    await rm(at("bowline.gen.yaml"));
    await terminal.seen("2 files in gen, 2 unchanged");
  });

  it("follows a file that is named, its imports, and buf's configuration", async () => {
    const importing = 'syntax = "proto3"; package p; import "b.proto"; message A { B b = 1; }';
    const { terminal, at } = await watching(
      { "api/p/a.proto": importing, "api/b.proto": message("B") },
      { paths: ["api/p/a.proto"] },
    );
    await writeFile(at("api/b.proto"), message("B").replace("{}", "{ int32 x = 1; }"));
    await terminal.seen("changed gen/b_pb.ts");
    const modules = await watching({
      "a/a.proto": message("A"),
      "b/b.proto": message("B"),
      "buf.yaml": "version: v2\nmodules: [{ path: a }]\n",
    });
    await writeFile(modules.at("buf.yaml"), "version: v2\nmodules: [{ path: a }, { path: b }]\n");
    await modules.terminal.seen("new gen/b_pb.ts");
  });

  it("follows a descriptor set", async () => {
    const set = (name: string): Uint8Array =>
      toBinary(
        FileDescriptorSetSchema,
        create(FileDescriptorSetSchema, { file: [{ name: "x.proto", syntax: "proto3", messageType: [{ name }] }] }),
      );
    const { terminal, at } = await watching({}, { descriptorSet: "api.binpb" });
    expect(terminal.err).toContain("can't read api.binpb: it does not exist");
    await writeFile(at("api.binpb"), set("First"));
    await terminal.seen("new gen/x_pb.ts");
    await terminal.seen(DONE);
    await writeFile(at("api.binpb"), set("Second"));
    await terminal.seen("changed gen/x_pb.ts");
  });

  it("does nothing for files that don't matter", async () => {
    const { terminal, at } = await watching({ "proto/a.proto": message("A") });
    const before = terminal.err;
    await writeFile(at("proto/notes.md"), "x");
    await mkdir(at("proto/empty"));
    await writeFile(at("proto/a.proto"), message("B"));
    await terminal.seen("changed gen/a_pb.ts");
    await terminal.seen(DONE);
    expect(terminal.err.slice(before.length).split(DONE)).toHaveLength(2);
  });

  it("ends with the signal, in the middle of a run as well", async () => {
    const { terminal, ended, stop, at } = await watching({ "proto/a.proto": message("A") });
    await writeFile(at("proto/a.proto"), message("B"));
    await terminal.seen("changed");
    stop();
    await ended;
    const idle = await watching({ "proto/a.proto": message("A") });
    idle.stop();
    await idle.ended;
  });
});
