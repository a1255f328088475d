/** What a command tells its user when it can't do its work: one sentence, and what to type or change next. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly hint: string | undefined;
  /** Of the process; 1 unless a shell gives the case a number of its own. */
  readonly exitCode: number;

  constructor(message: string, hint?: string, exitCode = 1) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
  }
}
