import { findFreePorts } from "../harness/free-ports.ts";
import { readH2specOutput } from "../harness/h2spec-output.ts";
import { runProgram } from "../harness/run-program.ts";
import type { Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { testCertificates } from "./certificates.ts";
import { complete } from "./h2spec.ts";
import { ownProgram } from "./program-path.ts";

/** Cases of h2specd 2.2.1; each has a port of its own. */
const CASES = 57;
const TIMEOUT_MS = 400_000;

/** h2specd against our client: each case is a server that misbehaves; it starts our client with its address. */
export function h2specd(isTls: boolean): Suite {
  return {
    name: isTls ? "h2specd-tls" : "h2specd",
    about: `h2specd 2.2.1 against our client, ${isTls ? "TLS" : "h2c"}`,
    prepare: () => (isTls ? installTools("h2specd", "grpc-go-server") : installTools("h2specd")),
    run: async (programs) => {
      const { ca, certificate, key, serverName } = testCertificates(programs["grpc-go-server"] ?? "");
      const program = ownProgram("h2specd-client", isTls ? ["--ca", ca, "--server-name", serverName] : []);
      const client = [program.command, ...program.args];
      const spaced = client.find((each) => each.includes(" "));
      // h2specd splits the command at spaces and knows no quotes.
      if (spaced !== undefined) throw new Error(`h2specd can't start a program whose path has a space: ${spaced}`);
      const from = String(await findFreePorts(CASES));
      const args = ["--exec", client.join(" "), "--from-port", from, "--timeout", "1"];
      if (isTls) args.push("--tls", "--cert-file", certificate, "--cert-key-file", key);
      const { stdout, stderr } = await runProgram(programs.h2specd, args, TIMEOUT_MS);
      return complete(readH2specOutput(stdout), CASES, `${stdout}\n${stderr}`);
    },
  };
}
