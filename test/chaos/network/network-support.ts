import { existsSync } from "node:fs";
import { join } from "node:path";
import { addNamespace, removeNamespace } from "./namespaces.ts";
import { runTool } from "./system-tool.ts";

/** What networks are made with, and the Debian package that has it. */
const PACKAGES: ReadonlyMap<string, string> = new Map([
  ["ip", "iproute2"],
  ["iptables", "iptables"],
]);

const INSTALL_PATIENCE_MS = 300_000;

/**
 * Why networks of namespaces can't be made on this machine, in words; undefined when they can.
 *
 * `installs`: what is missing is installed first, by apt-get where that is there.
 */
export function networksMissing({ installs }: { readonly installs: boolean }): string | undefined {
  if (process.platform !== "linux") return `network namespaces are a thing of Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return "network namespaces need root: run it as root, or in a container";
  if (missingPackages().length > 0 && installs && isOnPath("apt-get")) install(missingPackages());
  const missing = missingPackages();
  if (missing.length > 0) return `networks need programs that are missing: apt-get install ${missing.join(" ")}`;
  return whyNoNamespace();
}

function missingPackages(): readonly string[] {
  return [...PACKAGES].filter(([tool]) => !isOnPath(tool)).map(([, source]) => source);
}

function isOnPath(tool: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => folder !== "" && existsSync(join(folder, tool)));
}

/** A failure shows by what is missing afterwards. */
function install(packages: readonly string[]): void {
  const command = `apt-get install -qq -y --no-install-recommends ${packages.join(" ")}`;
  const script = `export DEBIAN_FRONTEND=noninteractive; ${command} || { apt-get update -qq && ${command}; }`;
  try {
    runTool("sh", ["-c", script], { patienceMs: INSTALL_PATIENCE_MS });
  } catch (error) {
    console.error(String(error));
  }
}

/** A container may have the programs and root, but not the right. */
function whyNoNamespace(): string | undefined {
  let name: string | undefined;
  try {
    name = addNamespace("probe");
    runTool("ip", ["-n", name, "link", "add", "br0", "type", "bridge"]);
    runTool("ip", ["netns", "exec", name, "iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE"]);
    return undefined;
  } catch (error) {
    return `namespaces with bridges and NAT can't be made here: ${error instanceof Error ? error.message : error}`;
  } finally {
    if (name !== undefined) removeNamespace(name);
  }
}
