import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** The folder of this package. */
export const packageFolder: string = fileURLToPath(new URL("..", import.meta.url));

/** A folder inside the workspace, where `bowline` and its dependencies resolve, with the given files; removed with the test. */
export async function workspaceFolder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  await mkdir(join(packageFolder, ".cache"), { recursive: true });
  const folder = await mkdtemp(join(packageFolder, ".cache", "test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}
