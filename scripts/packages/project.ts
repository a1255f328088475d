import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Ended, run } from "../process.ts";

const INSTALL_FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];

/** A folder as a user of the packages has it, with a package.json of its own. */
export class Project {
  /** Absolute. */
  readonly folder: string;

  /** Makes the folder and its package.json, which says that its files are ES modules. */
  constructor(folder: string, manifest: object = {}) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.write("package.json", JSON.stringify({ private: true, type: "module", ...manifest }, undefined, 2));
  }

  /** Absolute path of a file or folder. */
  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  /** Writes a file, and the folders above it. */
  write(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  /** Copies a file or folder from elsewhere. */
  copy(source: string, path: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    cpSync(source, this.path(path), { recursive: true });
  }

  read(path: string): string {
    return readFileSync(this.path(path), "utf8");
  }

  has(path: string): boolean {
    return existsSync(this.path(path));
  }

  /** `npm install`, without any install script, as npm 12 does it for everyone. @throws Error with what npm said */
  async install(...specifiers: readonly string[]): Promise<void> {
    await this.succeed("npm", ["install", ...INSTALL_FLAGS, ...specifiers]);
  }

  /** Runs a program here to its end. */
  run(command: string, args: readonly string[], timeoutMs: number = 120_000): Promise<Ended> {
    return run(command, args, { cwd: this.folder, timeoutMs });
  }

  /** Runs a program here and returns what it wrote to stdout. @throws Error with all it printed when it does not end with 0 */
  async succeed(command: string, args: readonly string[], timeoutMs?: number): Promise<string> {
    const { code, stdout, output } = await this.run(command, args, timeoutMs);
    if (code === 0) return stdout;
    const shown = [command.split("/").at(-1), ...args].join(" ");
    throw new Error(`${shown}\nended with ${code}\n${output.trimEnd()}`);
  }
}
