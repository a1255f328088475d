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
        logger[level](fields, message);
      } catch {
        // There is nowhere else to tell it.
      }
    };
  return { info: guard("info"), warn: guard("warn"), error: guard("error") };
}

/** One line of JSON each on standard error: what is used unless another logger is given. */
export const jsonLogger: Logger = {
  info: (fields, message) => write("info", fields, message),
  warn: (fields, message) => write("warn", fields, message),
  error: (fields, message) => write("error", fields, message),
};

function write(level: string, fields: object, message: string): void {
  const line = { level, time: new Date().toISOString(), message };
  process.stderr.write(
    `${jsonOf({ ...line, ...fields }) ?? jsonOf({ ...line, fields: "no JSON can be made of them" })}\n`,
  );
}

/** Undefined for what refers to itself: who throws such a thing must still have a line in the log. */
function jsonOf(value: object): string | undefined {
  try {
    return JSON.stringify(value, (_key, each: unknown) => {
      if (each instanceof Error) return each.stack ?? each.message;
      return typeof each === "bigint" ? String(each) : each;
    });
  } catch {
    return undefined;
  }
}
