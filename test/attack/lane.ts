// Rows of one lane, in a process of its own; started by run.ts. Arguments: the lane, then the options of run.ts.
import { createInterface } from "node:readline";
import { announce, printLine } from "../peers/peer-lines.ts";
import { choiceOf } from "./choice.ts";
import { type Lane, runLane } from "./lanes.ts";

const [lane, ...args] = process.argv.slice(2);
const { form, lanes } = choiceOf(args);
const verdicts = runLane(lanes[lane as Lane], form);

// A verdict for each line that asks for one.
createInterface({ input: process.stdin }).on("line", () => {
  void verdicts.next().then(({ value, done }) => printLine(done ? { verdict: null } : { verdict: value }));
});
announce({});
