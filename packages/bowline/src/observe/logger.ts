/** Where log lines go; pino and console fit. The first argument holds fields, the second the sentence. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** One line of JSON each on standard error: what is used unless another logger is given. */
export const jsonLogger: Logger = {
  info: (fields, message) => write("info", fields, message),
  warn: (fields, message) => write("warn", fields, message),
  error: (fields, message) => write("error", fields, message),
};

function write(level: string, fields: object, message: string): void {
  const line = { level, time: new Date().toISOString(), message, ...fields };
  process.stderr.write(
    `${JSON.stringify(line, (_key, value) => (value instanceof Error ? (value.stack ?? value.message) : value))}\n`,
  );
}
