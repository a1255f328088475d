import { readFile } from "node:fs/promises";
import { posix, resolve } from "node:path";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { CommandError } from "../../command-error.ts";
import { fileError } from "../../file-error.ts";
import type { PluginRuntime } from "../emit/plugin-runtime.ts";
import { isPlainImportPath } from "./proto-sources.ts";

/** Files that somebody else has compiled. */
export interface DescriptorSet {
  /** An encoded google.protobuf.FileDescriptorSet, imports first. */
  readonly bytes: Uint8Array;
  /** Import paths of the files to generate from. */
  readonly targets: readonly string[];
  /** Import paths of all files in it. */
  readonly files: readonly string[];
}

/**
 * Reads what `buf build -o` or `protoc --include_imports --include_source_info -o` has written. `paths` are import paths in it, or
 * folders of them; without any all files are taken but those that buf marked as imports and those of google/protobuf.
 *
 * Throws a CommandError when the file can't be read, is something else, or lacks an import.
 */
export async function readDescriptorSet(
  cwd: string,
  file: string,
  paths: readonly string[],
  { protobuf, wellKnownTypes }: PluginRuntime,
): Promise<DescriptorSet> {
  const bytes = await readFile(resolve(cwd, file)).catch((error) => {
    throw fileError("read", file, error);
  });
  let files: FileDescriptorProto[];
  try {
    files = protobuf.fromBinary(wellKnownTypes.FileDescriptorSetSchema, bytes).file;
  } catch {
    throw noDescriptorSet(file);
  }
  if (files.length === 0 || files.some((each) => each.name === "")) throw noDescriptorSet(file);
  refuseOddNames(file, files);
  refuseMissingImports(file, files);
  const targets = selected(file, files, paths.map(asImportPath));
  // Generated code holds descriptors: it should be the same whoever compiled them.
  for (const each of files) each.$unknown = each.$unknown?.filter((field) => field.no !== IMAGE_EXTENSION);
  const plain = protobuf.create(wellKnownTypes.FileDescriptorSetSchema, { file: files });
  return {
    bytes: protobuf.toBinary(wellKnownTypes.FileDescriptorSetSchema, plain),
    targets,
    files: files.map(({ name }) => name),
  };
}

/** Without the `./` and `/` that a shell's completion adds. */
function asImportPath(path: string): string {
  return posix.normalize(path).replace(/\/$/, "");
}

function selected(file: string, files: readonly FileDescriptorProto[], paths: readonly string[]): string[] {
  if (paths.length === 0) {
    return files.filter((each) => !isImport(each) && !each.name.startsWith("google/protobuf/")).map(({ name }) => name);
  }
  const names = files.map(({ name }) => name);
  const fits = (name: string, path: string): boolean => name === path || name.startsWith(`${path}/`);
  for (const path of paths) {
    if (names.some((name) => fits(name, path))) continue;
    throw new CommandError(
      `${file} has no ${path}`,
      `With --descriptor-set, paths are those that files are imported by: ${names.slice(0, 3).join(", ")}…`,
    );
  }
  return names.filter((name) => paths.some((path) => fits(name, path)));
}

/** Names become paths in the output folder, and must not lead out of it. */
function refuseOddNames(file: string, files: readonly FileDescriptorProto[]): void {
  const odd = files.find(({ name }) => !isPlainImportPath(name));
  if (odd === undefined) return;
  throw new CommandError(`${file} has a file named ${JSON.stringify(odd.name)}, which is no import path`);
}

function refuseMissingImports(file: string, files: readonly FileDescriptorProto[]): void {
  const names = new Set(files.map(({ name }) => name));
  for (const { name, dependency } of files) {
    const missing = dependency.find((each) => !names.has(each));
    if (missing === undefined) continue;
    throw new CommandError(
      `${file} has ${name}, but not ${missing}, which it imports`,
      "Make it with all imports: buf build -o FILE, or protoc --include_imports --include_source_info -o FILE.",
    );
  }
}

/** Field number of buf.alpha.image.v1.ImageFileExtension, whose field 1 says that the file is only imported. */
const IMAGE_EXTENSION = 8042;

function isImport({ $unknown }: FileDescriptorProto): boolean {
  const extension = $unknown?.find((field) => field.no === IMAGE_EXTENSION)?.data;
  // Length, tag of field 1, value.
  return extension !== undefined && extension.length >= 3 && extension[1] === 0x08 && extension[2] === 1;
}

function noDescriptorSet(file: string): CommandError {
  return new CommandError(
    `${file} is no descriptor set`,
    "Make one with: buf build -o FILE.binpb, or protoc --include_imports --include_source_info -o FILE.binpb.",
  );
}
