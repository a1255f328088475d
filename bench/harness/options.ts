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
  /** Names of loads to measure; empty: what the question proposes. */
  readonly loads: readonly string[];
  /** Calls in flight of closed loops in place of the question's loads. */
  readonly concurrencies: readonly number[];
  /** Calls that arrive in a second in a load of its own, beside those that are named; 0: no such load. */
  readonly openLoop: number;
  /** Names of the peers to measure; empty: all. */
  readonly peers: readonly string[];
  /** The kind of messages that calls carry in place of the question's own; empty: its own. */
  readonly messages: string;
  /** Print the result as one line of JSON at the end. */
  readonly json: boolean;
  /** Print the tables as Markdown. */
  readonly markdown: boolean;
  /** A page whose figures of this question are to be replaced; empty: none. */
  readonly page: string;
  /** One short round, to see that all of it runs: figures without weight. */
  readonly quick: boolean;
}

/** How to call the program; ends with a line break. */
export const USAGE = `usage: npm run bench -- QUESTION [--rounds N] [--seconds S] [--warmup S] [--peers NAME,NAME] [--loads NAME,NAME]
                                [--concurrency C,C] [--open-loop RATE] [--messages KIND] [--quick] [--markdown] [--page FILE] [--json]
  --rounds 5         times that each peer is measured, in turns and with the order reversed each time
  --seconds 2        measured time of each reading
  --warmup 4         load before the first reading of a fresh pair of processes
  --peers LIST       only these
  --loads LIST       only these
  --concurrency LIST so many calls in flight in place of the question's loads
  --open-loop RATE   so many calls arrive in a second, whatever becomes of those before; alone or beside named loads
  --messages KIND    typed messages, each encoded and decoded: tiny or order (unary), also blob, tree or all-types (codec)
  --quick            one short round, to see that all of it runs; the figures have no weight
  --markdown         tables as Markdown
  --page FILE        writes them into a page, between <!-- figures of QUESTION --> and <!-- end of figures -->
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
      loads: { type: "string" },
      concurrency: { type: "string" },
      "open-loop": { type: "string" },
      peers: { type: "string" },
      messages: { type: "string", default: "" },
      page: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
    },
  });
  if (positionals.length > 1) throw new Error(`one question at a time, got ${positionals.join(" ")}`);
  const { quick, json, markdown, messages, page } = values;
  return {
    question: positionals[0] ?? "",
    rounds: readNumber("--rounds", values.rounds, quick ? 1 : 5, 1),
    seconds: readNumber("--seconds", values.seconds, quick ? 0.4 : 2, 0.1),
    warmupSeconds: readNumber("--warmup", values.warmup, quick ? 0.4 : 4, 0),
    loads: readList(values.loads),
    concurrencies: readList(values.concurrency).map((text) => readNumber("--concurrency", text, 0, 1)),
    openLoop: readNumber("--open-loop", values["open-loop"], 0, 1),
    peers: readList(values.peers),
    messages,
    json,
    markdown,
    page,
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
