import { styleText } from "node:util";

/** Where a command writes. Colours are left out when the stream is no terminal or NO_COLOR is set. */
export interface Terminal {
  /** Results, on standard output, as they are. */
  write(text: string): void;
  /** Everything else, on standard error, as it is. */
  writeError(text: string): void;
  /** A line on standard output; `state` is a short word in front of it, such as `new`. */
  item(state: string, text: string): void;
  /** An error and, on a line of its own, what to do about it. */
  error(message: string, hint?: string): void;
  /** The text in the colour of errors, for standard error. */
  paintError(text: string): string;
  /** The text in the colour of what matters less, for standard error. */
  paintFaint(text: string): string;
  /** Raised when nobody reads standard output any more, as behind `| head -1`: what is written then goes nowhere. */
  readonly unread: AbortSignal;
}

const unread = new AbortController();

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (stream === process.stdout) unread.abort();
  });
}

/** The process's own streams. */
export const terminal: Terminal = {
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  item: (state, text) => {
    terminal.write(`${styleText("cyan", state.padEnd(9), { stream: process.stdout })} ${text}\n`);
  },
  error: (message, hint) => {
    terminal.writeError(`${terminal.paintError(message)}\n${hint === undefined ? "" : `${hint}\n`}`);
  },
  paintError: (text) => styleText("red", text, { stream: process.stderr }),
  paintFaint: (text) => styleText("dim", text, { stream: process.stderr }),
  unread: unread.signal,
};
