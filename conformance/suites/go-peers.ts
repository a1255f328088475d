import { Child } from "../../test/peers/child.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING, type GoProgram } from "../../test/peers/go-programs.ts";
import { runProgram, tail } from "../harness/run-program.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { echoServer } from "./program-path.ts";

const TIMEOUT_MS = 120_000;

/** grpc-go's client, as test/peers/go has it, checks our server of peer.v1.Echo. */
export const grpcGoChecks: Suite = goChecks(
  "grpc-go-checks",
  "a grpc-go client's checks of our server",
  "grpcgo-client",
  ["-target"],
);

/** The same with go-zero's client and its interceptors, tracing on. */
export const goZeroChecks: Suite = goChecks(
  "go-zero-checks",
  "a go-zero client's checks of our server",
  "gozero-client",
  ["-trace", "-endpoints"],
);

function goChecks(name: string, about: string, program: GoProgram, flags: readonly string[]): Suite {
  return {
    name,
    about,
    prepare: async () => {
      const folder = buildGoPrograms(program);
      if (folder === undefined) throw new Error(GO_PROGRAMS_MISSING);
      return { client: `${folder}/${program}` };
    },
    run: async ({ client }) => {
      const server = new Child(echoServer());
      try {
        const { addr } = await server.next("ready");
        const { stdout, stderr } = await runProgram(client, [...flags, String(addr)], TIMEOUT_MS);
        return readChecks(stdout, stderr);
      } finally {
        await server.stop();
      }
    },
  };
}

/** A line of JSON for each check, then a summary; without that the client did not get to its end. */
function readChecks(stdout: string, stderr: string): CaseResult[] {
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const records = lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  const results = records.filter((record) => "check" in record).map(resultOf);
  if (records.some((record) => "summary" in record)) return results;
  return [...results, { id: "all checks run", outcome: "failed", detail: tail(stderr) }];
}

function resultOf(record: Readonly<Record<string, unknown>>): CaseResult {
  const id = String(record.check);
  return record.ok === true ? { id, outcome: "passed" } : { id, outcome: "failed", detail: String(record.error) };
}
