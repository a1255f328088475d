import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { type Finding, report } from "./findings.ts";
import { run } from "./process.ts";
import { exists, filesBelow, readText, root } from "./repository.ts";
import { brokenLinks } from "./rules/links.ts";
import { type Snippet, snippetsOf } from "./rules/snippets.ts";

/**
 * Checks what the READMEs and docs/guide show; with paths of pages as arguments, these alone.
 *
 * The blocks of one page are files of one folder and import each other by name. Blocks of .proto files are generated into
 * `gen/`, every `ts` block is type-checked, and `ts run` blocks must end with exit code 0 within 60 seconds.
 * A block that can't stand alone says `ts fragment`.
 */
const RUN_TIMEOUT_MS = 60_000;

/** What pages find as `certs/`: a page about TLS can't make certificates without tools that not every machine has. */
const CERTIFICATES = "packages/bowline/test/certs";

const asked = process.argv.slice(2);
const pages = asked.length > 0 ? asked : [...["README.md", "README.zh-CN.md"].filter(exists), ...guidePages()];
const counts = { checked: 0, run: 0, fragments: 0 };

/** Pages that wait for their turn, as many at a time as there are cores; findings stand in the order of the pages. */
const queue = pages.entries();
const found: Finding[][] = [];
async function checkNext(): Promise<void> {
  for (const [index, page] of queue) found[index] = await checkPage(page);
}
await Promise.all(Array.from({ length: availableParallelism() }, checkNext));
const findings = found.flat();

const summary = `${pages.length} pages: ${counts.checked} blocks checked, ${counts.run} of them run, ${counts.fragments} fragments`;
report(findings, pages.length === 0 ? "nothing to check: there is no README.md and no docs/guide/*.md" : summary);

function guidePages(): string[] {
  return filesBelow("docs/guide").filter((path) => path.endsWith(".md"));
}

async function checkPage(page: string): Promise<Finding[]> {
  let snippets: Snippet[];
  try {
    snippets = snippetsOf(page, readText(page));
  } catch (error) {
    return [{ file: page, problem: (error as Error).message, fix: "see CONTRIBUTING.md, Documentation" }];
  }
  const links = brokenLinks(page, readText(page), textAt).map(({ line, target, problem }) => {
    return { file: page, line, problem: `the link ${target} leads nowhere: ${problem}`, fix: "correct the link" };
  });
  const files = snippets.filter((each) => each.use !== "fragment");
  counts.fragments += snippets.length - files.length;
  return files.length === 0 ? links : [...links, ...(await checkBlocks(page, files))];
}

/** The text of a file, an empty one for a folder, undefined for nothing. */
function textAt(path: string): string | undefined {
  if (!exists(path)) return undefined;
  return statSync(join(root, path)).isDirectory() ? "" : readText(path);
}

async function checkBlocks(page: string, files: readonly Snippet[]): Promise<Finding[]> {
  // In the repository, so that `bowline` resolves; not in node_modules, where Node refuses to run TypeScript.
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache", "snippets-"));
  try {
    return await checkFiles(page, files, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkFiles(page: string, files: readonly Snippet[], folder: string): Promise<Finding[]> {
  cpSync(join(root, CERTIFICATES), join(folder, "certs"), { recursive: true });
  for (const { file, text } of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, declaration: false, isolatedDeclarations: false },
    include: ["**/*.ts"],
    exclude: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));

  const protos = files.filter((each) => each.file.endsWith(".proto")).map((each) => each.file);
  if (protos.length > 0) {
    // As a reader would: a folder proto/ needs no argument, and the code goes to src/gen where there is a src/.
    const paths = protos.every((path) => path.startsWith("proto/")) ? [] : protos;
    const args = [join(root, "packages/cli/src/bin.ts"), "generate", ...paths];
    const failed = failure(page, files[0], await run(process.execPath, args, { cwd: folder }), "bowline generate");
    if (failed !== undefined) return [failed];
  }
  counts.checked += files.filter((each) => each.language === "ts").length;
  const failed = failure(page, files[0], ofPage(await run("tsc", ["-p", "."], { cwd: folder })), "tsc");
  if (failed !== undefined) return [{ ...failed, problem: inPage(failed.problem, files) }];
  return runFiles(page, files, folder);
}

async function runFiles(page: string, files: readonly Snippet[], folder: string): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const snippet of files.filter((each) => each.use === "run")) {
    counts.run += 1;
    const ended = await run(process.execPath, [snippet.file], { cwd: folder, timeoutMs: RUN_TIMEOUT_MS });
    const failed = failure(page, snippet, ended, `node ${snippet.file}`);
    if (failed !== undefined) found.push(failed);
  }
  return found;
}

function failure(
  page: string,
  snippet: Snippet,
  ended: { code: number; output: string },
  what: string,
): Finding | undefined {
  if (ended.code === 0) return undefined;
  const problem = `${what} ended with ${ended.code}\n${ended.output.trimEnd()}`;
  return { file: page, line: snippet.line, problem, fix: "mend the page, or what it shows" };
}

/** What the compiler says of the page's own files; of what they import the step `types` tells, once. */
function ofPage({ code, output }: { code: number; output: string }): { code: number; output: string } {
  const messages = output.split(/\n(?! )/);
  const own = messages.filter((message) => message !== "" && !message.startsWith("../"));
  return { code: own.length === 0 && messages.length > 1 ? 0 : code, output: own.join("\n") };
}

/** Turns places in files, `main.ts(3,5)`, into lines of the page. */
function inPage(output: string, files: readonly Snippet[]): string {
  return output.replace(/^(\S+?)\((\d+),(\d+)\)/gm, (place, file: string, line: string, column: string) => {
    const snippet = files.find((each) => each.file === file);
    return snippet === undefined ? place : `${snippet.page}:${snippet.line + Number(line) - 1}:${column} (${file})`;
  });
}
