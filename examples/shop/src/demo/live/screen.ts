import type { WriteStream } from "node:tty";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
/** Terminals that know it show all that comes in between at once; the others ignore it. */
const BEGIN_UPDATE = "\x1b[?2026h";
const END_UPDATE = "\x1b[?2026l";

/**
 * The terminal's second screen. Only lines that have changed are written, so nothing flickers, and a slow connection is no
 * trouble. The first screen and the cursor come back in the end, whatever that end is.
 */
export class Screen {
  readonly #output: WriteStream;
  #shown: string[] = [];
  #isOpen = false;
  readonly #restore = (): void => this.close();
  readonly #forget = (): void => {
    this.#shown = [];
  };

  constructor(output: WriteStream) {
    this.#output = output;
  }

  get columns(): number {
    return this.#output.columns;
  }

  get rows(): number {
    return this.#output.rows;
  }

  open(): void {
    this.#isOpen = true;
    this.#output.write(ENTER);
    // After a change of size nobody knows what is still there.
    this.#output.on("resize", this.#forget);
    process.on("exit", this.#restore);
  }

  /** Shows lines from the top; none may be wider than the screen. What is too much at the bottom is left out. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    let text = this.#shown.length === 0 ? "\x1b[2J" : "";
    for (let row = 0; row < this.rows; row++) {
      const line = lines[row] ?? "";
      if (this.#shown[row] === line) continue;
      text += `\x1b[${row + 1};1H${line}\x1b[0m\x1b[K`;
    }
    this.#shown = Array.from({ length: this.rows }, (_, row) => lines[row] ?? "");
    if (text !== "") this.#output.write(BEGIN_UPDATE + text + END_UPDATE);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off("exit", this.#restore);
    this.#output.off("resize", this.#forget);
    this.#output.write(LEAVE);
  }
}
