import { report } from "./findings.ts";
import { readText, workspaceFolders } from "./repository.ts";
import { checkLockFile, type Manifest } from "./rules/lock-file.ts";

/** Checks that package-lock.json follows the manifests and names no registry. */
const folders = ["", ...workspaceFolders()];
const manifests = new Map(
  folders.map((folder) => [folder, JSON.parse(readText(`${folder === "" ? "." : folder}/package.json`)) as Manifest]),
);

report(checkLockFile(readText("package-lock.json"), manifests), `follows ${folders.length} manifests`);
