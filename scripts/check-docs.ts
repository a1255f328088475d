import { report } from "./findings.ts";
import { filesBelow, readText } from "./repository.ts";
import { checkBannedText, checkDocComments, minDocumented } from "./rules/docs.ts";

/** Checks that what packages export is documented, and that no file holds what no file may. */
const TEXT =
  /\.(?:ts|js|mjs|json|jsonc|md|sh|yaml|yml|proto|html|css|toml)$|(?:^|\/)(?:run|NOTICE|\.npmrc|\.gitignore)$/;

const files = filesBelow()
  .filter((path) => TEXT.test(path))
  .map((path) => ({ path, text: readText(path) }));
const { documented, total, missing } = checkDocComments(files);
const share = total === 0 ? 1 : documented / total;
const summary = `${documented} of ${total} exported names documented (${(share * 100).toFixed(1)} %)`;

for (const { file, line, problem } of missing) console.log(`${file}:${line}: ${problem}`);
if (share < minDocumented) {
  const fix = `document what is listed above: ${minDocumented * 100} % is the least`;
  report([{ file: "packages", problem: summary, fix }, ...checkBannedText(files)], summary);
} else {
  report(checkBannedText(files), summary);
}
