/** What a command tells its user when it can't do its work: one sentence, and what to type or change next. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
