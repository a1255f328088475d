import { RpcError } from "../rpc/rpc-error.ts";

/** Where log lines go; pino and console fit. The first argument holds fields, the second the sentence. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** The same logger, from which nothing is thrown: no call and no process ends because of a line that can't be written. */
export function guardLogger(logger: Logger): Logger {
  const guard =
    (level: keyof Logger): Logger["info"] =>
    (fields, message) => {
      try {
        const said: unknown = logger[level](fields, message);
        if (said instanceof Promise) said.catch(() => {});
      } catch {
        // There is nowhere else to tell it.
      }
    };
  return { info: guard("info"), warn: guard("warn"), error: guard("error") };
}

/** Of standard error as it is used here. */
interface LineStream {
  /** Bytes that were written and that nobody has taken yet. */
  readonly writableLength: number;
  write(line: string, done: (error?: Error | null) => void): unknown;
  listenerCount(event: "error"): number;
  once(event: "error", listener: () => void): unknown;
}

/** Bytes of lines that wait for a slow reader of standard error; lines beyond are lost. */
const MAX_WAITING_BYTES = 1_048_576;
/** Errors of a chain of causes that are shown. */
const MAX_ERRORS = 8;

/**
 * One line of JSON each on standard error: what is used unless another logger is given. Errors are shown with what caused them. Lines
 * that standard error can't take are lost: it is closed, its disk is full, or 1 MiB of lines waits for who reads it. How many were
 * lost to a slow reader is told by `linesLost` of the next line.
 */
export const jsonLogger: Logger = loggerTo(() => process.stderr);

/** The same on another stream, which is asked for with each line. */
export function loggerTo(stream: () => LineStream): Logger {
  let linesLost = 0;
  const write = (level: string, fields: object, message: string): void => {
    const to = stream();
    if (to.writableLength > MAX_WAITING_BYTES) {
      linesLost++;
      return;
    }
    const line = { level, time: new Date().toISOString(), message, ...(linesLost > 0 ? { linesLost } : {}) };
    linesLost = 0;
    const text = jsonOf({ ...line, ...fields }) ?? jsonOf({ ...line, fields: "no JSON can be made of them" });
    to.write(`${text}\n`, (error) => {
      // Next comes an 'error' event, and one that nobody hears ends the process. It is heard once only: what others write is theirs.
      if (error && to.listenerCount("error") === 0) to.once("error", () => {});
    });
  };
  return {
    info: (fields, message) => write("info", fields, message),
    warn: (fields, message) => write("warn", fields, message),
    error: (fields, message) => write("error", fields, message),
  };
}

/** Undefined for what refers to itself: who throws such a thing must still have a line in the log. */
function jsonOf(value: object): string | undefined {
  try {
    return JSON.stringify(value, (_key, each: unknown) => {
      if (each instanceof Error) return withCauses(each);
      return typeof each === "bigint" ? String(each) : each;
    });
  } catch {
    return undefined;
  }
}

/** The stack of an error, and those of what caused it: no stack holds them. */
function withCauses(error: Error): string {
  const lines: string[] = [];
  const shown = new Set<unknown>();
  const show = (each: unknown, role: string): void => {
    if (each === undefined || shown.has(each) || shown.size >= MAX_ERRORS) return;
    shown.add(each);
    // Of objects no more than that: what else libraries give as a cause, such as a request with its headers, may hold secrets.
    lines.push(role + (each instanceof Error ? (each.stack ?? each.message) : textOf(each)));
    // What a source of credentials threw may have the secret in its message.
    if (!(each instanceof Error) || (RpcError.is(each) && each.reason === "credentials")) return;
    show(each.cause, "caused by ");
    if (each instanceof AggregateError) for (const one of each.errors) show(one, "one of them: ");
  };
  show(error, "");
  return lines.join("\n");
}

function textOf(value: unknown): string {
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
