import { CommandError } from "../command-error.ts";
import type { Terminal } from "../terminal.ts";
import { DiagnosticError } from "./compile/diagnostic.ts";
import { findConfig, readConfig } from "./config/read-config.ts";
import { compareOutputs, type OutputState, writeOutput } from "./output-folder.ts";
import { type OutputPlan, planOutput } from "./plan-output.ts";
import { showDiagnostics, showResults } from "./result-text.ts";
import { type GenerateRequest, type GenerateSettings, settingsOf } from "./settings.ts";

/** One output, and whether it is only compared. */
export interface GenerateOptions extends GenerateSettings {
  /** Compare only; write nothing. */
  readonly check?: boolean | undefined;
}

/** Of the process when a signal ended a run, as shells count: 128 and the number of SIGINT. */
const INTERRUPTED = 130;

/**
 * Does what the flags and the configuration file say, and tells the terminal about it. Throws a CommandError when nothing could be
 * generated or a check failed. A signal ends it before anything is written, or else after everything is.
 */
export async function runGenerate(request: GenerateRequest, terminal: Terminal, signal?: AbortSignal): Promise<void> {
  try {
    const results = await generateAll(await readSettings(request), { check: request.check, signal });
    showResults(results, request, terminal);
  } catch (error) {
    if (signal?.aborted === true) throw new CommandError("interrupted", undefined, INTERRUPTED);
    throw error instanceof DiagnosticError ? showDiagnostics(error, terminal) : error;
  }
}

/** The settings of each output, from the flags and the configuration file if there is one. */
export async function readSettings(request: GenerateRequest): Promise<GenerateSettings[]> {
  const file = findConfig(request.cwd, request.config);
  return settingsOf(request, file === undefined ? undefined : await readConfig(request.cwd, file));
}

/**
 * Generates code from .proto files into one folder; no configuration file is read. Nothing is written unless all of them compile.
 *
 * Throws a DiagnosticError for faults in the files and a CommandError for everything else that the user can mend.
 */
export async function generate(options: GenerateOptions): Promise<OutputState> {
  const [result] = await generateAll([options], { check: options.check });
  return result;
}

/** Generates several outputs: all of them are written, or none. */
async function generateAll(
  settings: readonly GenerateSettings[],
  { check, signal }: { check?: boolean | undefined; signal?: AbortSignal | undefined },
): Promise<OutputState[]> {
  const plans: OutputPlan[] = [];
  for (const each of settings) plans.push(await planOutput(each, signal));
  const results = await compareOutputs(plans);
  signal?.throwIfAborted();
  if (check === true) return results;
  for (const result of results) await writeOutput(result);
  return results;
}
