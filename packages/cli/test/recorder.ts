import type { Terminal } from "../src/terminal.ts";

/** A terminal that keeps what is written, without colours. */
export interface Recorder extends Terminal {
  out: string;
  err: string;
  /** Resolves as soon as standard output and error together hold the text, behind what earlier calls have found. */
  seen(text: string): Promise<void>;
}

/** A terminal for tests. */
export function recorder(): Recorder {
  let all = "";
  let from = 0;
  let wake = (): void => undefined;
  const note = (text: string): string => {
    all += text;
    wake();
    return text;
  };
  const recorded: Recorder = {
    out: "",
    err: "",
    write: (text) => void (recorded.out += note(text)),
    writeError: (text) => void (recorded.err += note(text)),
    item: (state, text) => recorded.write(`${state} ${text}\n`),
    error: (message, hint) => recorded.writeError(`${message}\n${hint ?? ""}\n`),
    paintError: (text) => text,
    paintFaint: (text) => text,
    unread: new AbortController().signal,
    async seen(text) {
      while (!all.includes(text, from)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      from = all.indexOf(text, from) + text.length;
    },
  };
  return recorded;
}
