import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { CommandError } from "./command-error.ts";
import { doctorCommand, listCommand, watchCommand } from "./commands/discovery.ts";
import { generateCommand } from "./commands/generate.ts";
import { type Terminal, terminal } from "./terminal.ts";

/**
 * Runs `bowline` with its arguments and returns the exit code: 0 done, 1 failed, 130 interrupted; what went wrong is on standard
 * error.
 */
export async function main(argv: readonly string[], output: Terminal = terminal): Promise<number> {
  try {
    await program(output).parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has printed its message already; showing help counts as an error there too.
    if (error instanceof CommanderError) return error.exitCode;
    if (!(error instanceof CommandError)) throw error;
    output.error(error.message, error.hint);
    return error.exitCode;
  }
}

function program(output: Terminal): Command {
  const bowline = new Command("bowline")
    .description("Services that call each other: generate their code, run them, look at them.")
    .version(version(), "-v, --version", "Print the version")
    .helpOption("-h, --help", "Print this help, or a command's")
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => output.writeError(text),
      outputError: (text, write) => write(output.paintError(text)),
    })
    .showHelpAfterError("Run with --help to see what there is.")
    .exitOverride();
  const commands = [generateCommand, doctorCommand, listCommand, watchCommand].map((make) => make(output));
  for (const command of commands) bowline.addCommand(command.copyInheritedSettings(bowline));
  return bowline;
}

function version(): string {
  return JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;
}
