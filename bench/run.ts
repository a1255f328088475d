// The command behind `npm run bench`: answers questions with figures.
import { readFileSync, writeFileSync } from "node:fs";
import { ablation } from "./ablation.ts";
import { codec } from "./codec.ts";
import { cores } from "./cores.ts";
import { discovery } from "./discovery.ts";
import { type BenchOptions, readOptions, USAGE } from "./harness/options.ts";
import { answer, type Question } from "./harness/question.ts";
import { withFigures } from "./harness/report/page.ts";
import { render } from "./harness/report/render.ts";
import { large } from "./large.ts";
import { memory } from "./memory.ts";
import { server } from "./server.ts";
import { stream } from "./stream.ts";
import { tls } from "./tls.ts";
import { unary } from "./unary.ts";

const QUESTIONS: readonly Question[] = [unary, codec, server, stream, large, tls, memory, ablation, cores, discovery];
/** In place of a question: all of them, one after the other. */
const ALL = "all";

function list(): string {
  const lines = QUESTIONS.map(({ name, asks }) => `  ${name.padEnd(10)} ${asks}`);
  return `${USAGE}\nquestions:\n${lines.join("\n")}\n  ${ALL.padEnd(10)} each of them, with a sum of those that went well at the end\n`;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    process.stdout.write(list());
    return 0;
  }
  let options: BenchOptions;
  try {
    options = readOptions(argv);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.question === ALL) return runAll(options);
  const question = QUESTIONS.find((each) => each.name === options.question);
  if (question === undefined) {
    process.stderr.write(options.question === "" ? list() : `bench: no question "${options.question}"\n\n${list()}`);
    return options.question === "" ? 0 : 2;
  }
  return (await run(withMessages(question, options.messages), options)) ? 0 : 1;
}

function withMessages(question: Question, kind: string): Question {
  if (kind === "") return question;
  if (question.withMessages !== undefined) return question.withMessages(kind);
  const names = QUESTIONS.filter((each) => each.withMessages !== undefined).map((each) => each.name);
  throw new Error(`--messages ${kind}: ${question.name} has messages of its own; ${names.join(" and ")} have others`);
}

/** True when no call failed. */
async function run(question: Question, options: BenchOptions): Promise<boolean> {
  const write = (figures: string): string => withFigures(readFileSync(options.page, "utf8"), question.name, figures);
  // A page without a place for them is better found now.
  if (options.page !== "") write("");
  const report = await answer(question, options, (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${render(report, options.markdown)}\n`);
  if (options.page !== "") writeFileSync(options.page, write(render(report, true)));
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.rows.every((row) => row.errors === 0);
}

async function runAll(options: BenchOptions): Promise<number> {
  let passed = 0;
  for (const question of QUESTIONS) {
    process.stdout.write(`\n## ${question.name}: ${question.asks}\n\n`);
    try {
      if (await run(question, options)) passed++;
    } catch (error) {
      process.stderr.write(`bench: ${question.name}: ${(error as Error).message}\n`);
    }
  }
  process.stdout.write(`\n${passed} passed, ${QUESTIONS.length - passed} failed\n`);
  return passed === QUESTIONS.length ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
// Who reads the tables may have enough of them (`| head`): the page is written nevertheless.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
