// The command behind `npm run bench`: answers one question with figures.
import { type BenchOptions, readOptions, USAGE } from "./harness/options.ts";
import { answer, type Question } from "./harness/question.ts";
import { render } from "./harness/report.ts";
import { unary } from "./unary.ts";

const QUESTIONS: readonly Question[] = [unary];

function list(): string {
  return `${USAGE}\nquestions:\n${QUESTIONS.map((each) => `  ${each.name.padEnd(10)} ${each.asks}`).join("\n")}\n`;
}

async function main(argv: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = readOptions(argv);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const question = QUESTIONS.find((each) => each.name === options.question);
  if (question === undefined) {
    process.stderr.write(options.question === "" ? list() : `bench: no question "${options.question}"\n\n${list()}`);
    return options.question === "" ? 0 : 2;
  }
  const report = await answer(question, options, (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${render(report)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.rows.some((row) => row.errors > 0) ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
