import { Child } from "../../test/peers/child.ts";
import { readH2specOutput } from "../harness/h2spec-output.ts";
import { runProgram, tail } from "../harness/run-program.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { testCertificates } from "./certificates.ts";
import { ownProgram } from "./program-path.ts";

/** Cases of h2spec 2.2.1 in strict mode. */
const CASES = 146;
const TIMEOUT_MS = 600_000;

/** h2spec in strict mode against our server: RFC 7540 and 7541, server side. */
export function h2spec(isTls: boolean): Suite {
  return {
    name: isTls ? "h2spec-tls" : "h2spec",
    about: `h2spec 2.2.1 --strict against our server, ${isTls ? "TLS" : "h2c"}`,
    prepare: () => (isTls ? installTools("h2spec", "grpc-go-server") : installTools("h2spec")),
    run: async (programs) => {
      const { certificate, key } = testCertificates(programs["grpc-go-server"] ?? "");
      const server = new Child(ownProgram("h2spec-server", isTls ? ["--cert", certificate, "--key", key] : []));
      try {
        const { addr } = await server.next("ready");
        const port = String(addr).split(":")[1];
        const args = ["-h", "127.0.0.1", "-p", port, "--strict", ...(isTls ? ["--tls", "--insecure"] : [])];
        const { stdout, stderr } = await runProgram(programs.h2spec, args, TIMEOUT_MS);
        return complete(readH2specOutput(stdout), CASES, `${stdout}\n${stderr}`);
      } finally {
        await server.stop();
      }
    },
  };
}

/** The results, with a failure of its own when the program stopped before its last case. */
export function complete(results: readonly CaseResult[], wanted: number, output: string): readonly CaseResult[] {
  if (results.length === wanted) return results;
  const detail = `${results.length} of ${wanted} cases were run; the output ends with\n${tail(output)}`;
  return [...results, { id: "all cases run", outcome: "failed", detail }];
}
