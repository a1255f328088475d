import { type ParseArgsConfig, parseArgs } from "node:util";

/** The result of `parseArgs` for these options. */
export type ProgramOptions<T extends ParseArgsConfig> = ReturnType<typeof parseArgs<T>>;

/**
 * The options of a program that people start. `--help` and `-h` print `usage`, and the program ends well; an option that it does not have
 * gets one line and the usage to standard error, and exit code 2.
 */
export function programOptions<T extends ParseArgsConfig>(usage: string, config: T): ProgramOptions<T> {
  const args = config.args ?? process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    // Node's text goes on to say how an argument that begins with "-" is given; nobody wants that here.
    console.error(`${(error as Error).message.split(". ")[0]}\n\n${usage}`);
    process.exit(2);
  }
}
