import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { workspaceFolder } from "../../../test/workspace-folder.ts";
import { findProtoSources, type ProtoSelection } from "./proto-sources.ts";

const USER = 'syntax = "proto3"; package user.v1; import "user/v1/id.proto"; message User {}';
const ID = 'syntax = "proto3"; package user.v1; message Id {}';

/** Import paths by whether they are generated from (`+`) or only imported (`-`). */
async function found(selection: Partial<ProtoSelection> & { cwd: string }): Promise<string[]> {
  const { sources } = await findProtoSources({ paths: [], include: [], ...selection });
  return sources.map((source) => `${source.isTarget ? "+" : "-"} ${source.importPath}`);
}

describe("findProtoSources", () => {
  it("takes ./proto when nothing is named", async () => {
    const cwd = await workspaceFolder({
      "proto/user/v1/user.proto": USER,
      "proto/user/v1/id.proto": ID,
      "other/x.proto": ID,
    });
    expect(await found({ cwd })).toEqual(["+ user/v1/id.proto", "+ user/v1/user.proto"]);
  });

  it("takes the modules of a buf.yaml, whose dependencies it leaves alone", async () => {
    const buf = "version: v2\nmodules:\n  - path: a\n  - path: b/c\ndeps:\n  - buf.build/googleapis/googleapis\n";
    const cwd = await workspaceFolder({
      "buf.yaml": buf,
      "a/user/v1/user.proto": USER,
      "b/c/user/v1/id.proto": ID,
      "proto/x.proto": ID,
    });
    expect(await found({ cwd })).toEqual(["+ user/v1/id.proto", "+ user/v1/user.proto"]);
  });

  it("follows links to folders, to each folder once and to none around itself", async () => {
    const cwd = await workspaceFolder({
      "proto/user/v1/user.proto": USER,
      "shared/user/v1/id.proto": ID,
      "shared/more/x.proto": ID,
      "tests/own.proto": ID,
    });
    await mkdir(join(cwd, "proto/links"));
    await symlink("../shared/user/v1/id.proto", join(cwd, "proto/id.proto"));
    await symlink("../shared", join(cwd, "proto/shared"));
    await symlink("../proto/shared/more", join(cwd, "proto/more"));
    await symlink("user", join(cwd, "proto/alias"));
    await symlink("..", join(cwd, "proto/project"));
    await symlink(".", join(cwd, "proto/links/self"));
    await symlink("../proto", join(cwd, "shared/back"));
    await symlink("../../shared", join(cwd, "shared/user/loop"));
    await symlink("nowhere", join(cwd, "proto/dangling"));
    expect(await found({ cwd })).toEqual([
      "+ id.proto",
      "+ more/x.proto",
      "+ shared/user/v1/id.proto",
      "+ user/v1/user.proto",
    ]);
  });

  it("takes a folder that is named as the place where import paths begin", async () => {
    const cwd = await workspaceFolder({
      "api/user/v1/user.proto": USER,
      "api/user/v1/id.proto": ID,
      "api/node_modules/x.proto": ID,
    });
    expect(await found({ cwd, paths: ["api"] })).toEqual(["+ user/v1/id.proto", "+ user/v1/user.proto"]);
  });

  it("finds where import paths begin for a single file by its package", async () => {
    const cwd = await workspaceFolder({ "api/user/v1/user.proto": USER, "api/user/v1/id.proto": ID });
    expect(await found({ cwd, paths: ["api/user/v1/user.proto"] })).toEqual([
      "- user/v1/id.proto",
      "+ user/v1/user.proto",
    ]);
  });

  it("lets --include say where import paths begin, and search there", async () => {
    const cwd = await workspaceFolder({ "api/user/v1/user.proto": USER, "third/user/v1/id.proto": ID });
    const selection = { cwd, paths: ["api/user/v1/user.proto"], include: [".", "third"] };
    expect(await found(selection)).toEqual(["+ api/user/v1/user.proto", "- user/v1/id.proto"]);
  });

  it("takes part of ./proto by name", async () => {
    const cwd = await workspaceFolder({
      "proto/user/v1/user.proto": USER,
      "proto/user/v1/id.proto": ID,
      "proto/b.proto": ID,
    });
    expect(await found({ cwd, paths: ["proto/user"] })).toEqual(["+ user/v1/id.proto", "+ user/v1/user.proto"]);
  });

  it("brings google/rpc, google/api and grpc along, unless the user has a copy", async () => {
    const text =
      'import "google/rpc/status.proto"; import "google/api/annotations.proto"; import "google/protobuf/any.proto";';
    const cwd = await workspaceFolder({ "proto/a.proto": text, "proto/google/rpc/status.proto": "// own copy" });
    const { sources } = await findProtoSources({ cwd, paths: ["proto/a.proto"], include: [] });
    expect(sources.map((source) => source.importPath)).toEqual([
      "a.proto",
      "google/api/annotations.proto",
      "google/api/http.proto",
      "google/rpc/status.proto",
    ]);
    expect(sources[3]).toMatchObject({ text: "// own copy", file: join(cwd, "proto/google/rpc/status.proto") });
  });

  it("never follows an import out of the folders it searches", async () => {
    const text = 'import "../secret.proto"; import "/etc/x.proto"; import "./b.proto"; import "a//b.proto";';
    const cwd = await workspaceFolder({ "proto/a.proto": text, "secret.proto": ID, "proto/b.proto": "" });
    expect(await found({ cwd, paths: ["proto/a.proto"] })).toEqual(["+ a.proto"]);
  });

  it("says what to do when there is nothing", async () => {
    const cwd = await workspaceFolder({ "empty/readme.md": "" });
    await expect(found({ cwd })).rejects.toMatchObject({
      hint: expect.stringContaining("bowline generate path/to/protos"),
    });
    await expect(found({ cwd, paths: ["empty"] })).rejects.toThrow("no .proto file in empty");
    await expect(found({ cwd, paths: ["nowhere"] })).rejects.toThrow("nowhere does not exist");
    await expect(found({ cwd, paths: ["empty/readme.md"] })).rejects.toThrow("empty/readme.md is no .proto file");
    await expect(found({ cwd, include: ["empty/readme.md"] })).rejects.toThrow(
      "--include empty/readme.md is no folder",
    );
  });

  it("refuses two files of one import path", async () => {
    const cwd = await workspaceFolder({ "a/x.proto": ID, "b/x.proto": ID });
    await expect(found({ cwd, paths: ["a", "b"] })).rejects.toThrow(/would both be imported as x\.proto/);
    expect(await found({ cwd, paths: ["a", "a/x.proto"] })).toEqual(["+ x.proto"]);
  });
});
