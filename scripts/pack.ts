import { join } from "node:path";
import { parseArgs } from "node:util";
import { kilobytes } from "./packages/kilobytes.ts";
import { packAll } from "./packages/tarball.ts";
import { root } from "./repository.ts";

/**
 * Makes what is published, in .cache/packages or the folder given by `--out`: for each package a folder as its users will have it,
 * and the tarball that npm makes of it. Nothing is published.
 */
const { values } = parseArgs({ options: { out: { type: "string", default: join(root, ".cache/packages") } } });

for (const { tarball, bytes, unpackedBytes, fileCount, digest } of await packAll(values.out)) {
  console.log(`${tarball}: ${kilobytes(bytes)}, ${fileCount} files, ${kilobytes(unpackedBytes)} unpacked`);
  console.log(`  sha256 ${digest}`);
}
