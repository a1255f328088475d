import { parseArgs } from "node:util";

/** How a question is to be measured. */
export interface BenchOptions {
  /** Name of the question, empty to list them. */
  readonly question: string;
  /** Times that each peer is measured; the order turns round each time. */
  readonly rounds: number;
  /** Measured time of each reading, in seconds. */
  readonly seconds: number;
  /** Load before the first reading of a fresh pair of processes, in seconds. */
  readonly warmupSeconds: number;
  /** Calls in flight; empty: what the question proposes. */
  readonly concurrencies: readonly number[];
  /** Names of the peers to measure; empty: all. */
  readonly peers: readonly string[];
  /** Print the result as one line of JSON at the end. */
  readonly json: boolean;
  /** One short round, to see that all of it runs: at most 15 s, figures without weight. */
  readonly quick: boolean;
}

/** How to call the program; ends with a line break. */
export const USAGE = `usage: npm run bench -- QUESTION [--rounds N] [--seconds S] [--warmup S] [--concurrency C,C] [--peers NAME,NAME] [--quick] [--json]
  --rounds 5         times that each peer is measured, in turns and with the order reversed each time
  --seconds 2        measured time of each reading
  --warmup 4         load before the first reading of a fresh pair of processes
  --concurrency LIST calls in flight
  --peers LIST       only these
  --quick            one short round, to see that all of it runs; the figures have no weight
  --json             the result as one line of JSON at the end
`;

/** Reads the command line. Throws an Error that says what is wrong with it. */
export function readOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      warmup: { type: "string" },
      concurrency: { type: "string" },
      peers: { type: "string" },
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
    },
  });
  if (positionals.length > 1) throw new Error(`one question at a time, got ${positionals.join(" ")}`);
  const quick = values.quick;
  return {
    question: positionals[0] ?? "",
    rounds: readNumber("--rounds", values.rounds, quick ? 1 : 5, 1),
    seconds: readNumber("--seconds", values.seconds, quick ? 0.4 : 2, 0.1),
    warmupSeconds: readNumber("--warmup", values.warmup, quick ? 0.4 : 4, 0),
    concurrencies: readList(values.concurrency).map((text) => readNumber("--concurrency", text, 0, 1)),
    peers: readList(values.peers),
    json: values.json,
    quick,
  };
}

function readNumber(option: string, text: string | undefined, otherwise: number, least: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < least) {
    throw new Error(`${option} ${text}: give a number of at least ${least}`);
  }
  return value;
}

function readList(text: string | undefined): string[] {
  return (text ?? "").split(",").filter((each) => each !== "");
}
