import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "../../test/peers/child.ts";
import { findFreePorts } from "../harness/free-ports.ts";
import { runProgram, tail } from "../harness/run-program.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { installTools } from "../harness/tools.ts";
import { type TestCertificates, testCertificates } from "./certificates.ts";
import { ownProgram } from "./program-path.ts";

/** The cases that grpc-go 1.85 passes against itself. */
const CASES: readonly string[] = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "rpc_soak",
  "channel_soak",
];

/** Cases of the interop specification that grpc-go's programs lack: for our client and server together. */
const OWN_CASES: readonly string[] = [
  "concurrent_large_unary",
  "client_compressed_unary",
  "server_compressed_unary",
  "client_compressed_streaming",
  "server_compressed_streaming",
];

const CASE_TIMEOUT_MS = 30_000;

/** grpc-go's interop client calls our server. */
export function grpcGoClient(isTls: boolean): Suite {
  return {
    name: nameOf("grpc-go-client", isTls),
    about: `grpc-go's interop client on our server, ${wordFor(isTls)}`,
    prepare: () => installTools("grpc-go-client"),
    run: async ({ "grpc-go-client": program }) => {
      const certificates = testCertificates(program);
      return withOwnServer(isTls ? certificates : undefined, (port) =>
        runCases(CASES, (name) => goClient(program, port, isTls ? certificates : undefined, name)),
      );
    },
  };
}

/** Our interop client calls grpc-go's server. */
export function grpcGoServer(isTls: boolean): Suite {
  return {
    name: nameOf("grpc-go-server", isTls),
    about: `our interop client on grpc-go's server, ${wordFor(isTls)}`,
    prepare: () => installTools("grpc-go-server"),
    run: async ({ "grpc-go-server": program }) => {
      const certificates = isTls ? testCertificates(program) : undefined;
      return withGoServer(program, certificates, (port) =>
        runCases(CASES, (name) => ownClient(port, certificates, name)),
      );
    },
  };
}

/** Our interop client calls our server: the cases that no peer here has. */
export function interopSelf(isTls: boolean): Suite {
  return {
    name: nameOf("interop-self", isTls),
    about: `our interop client on our server, ${wordFor(isTls)}`,
    prepare: () => (isTls ? installTools("grpc-go-server") : installTools()),
    run: async (programs) => {
      const certificates = isTls ? testCertificates(programs["grpc-go-server"]) : undefined;
      return withOwnServer(certificates, (port) =>
        runCases([...CASES, ...OWN_CASES], (name) => ownClient(port, certificates, name)),
      );
    },
  };
}

function nameOf(suite: string, isTls: boolean): string {
  return isTls ? `${suite}-tls` : suite;
}

function wordFor(isTls: boolean): string {
  return isTls ? "TLS" : "plaintext";
}

/** A program and its arguments. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** Our interop client with one case for the server on `port` of loopback; plaintext without certificates. */
export function ownClient(port: string, certificates: TestCertificates | undefined, name: string): CommandLine {
  const args = ["--server_host=127.0.0.1", `--server_port=${port}`, `--test_case=${name}`];
  if (certificates !== undefined)
    args.push("--use_tls", "--ca_file", certificates.ca, "--server_host_override", certificates.serverName);
  return ownProgram("interop-client", args);
}

/** The same with grpc-go's client. */
export function goClient(
  command: string,
  port: string,
  certificates: TestCertificates | undefined,
  name: string,
): CommandLine {
  const args = ["-server_host", "127.0.0.1", "-server_port", port, "-test_case", name];
  if (certificates !== undefined) {
    args.push("-use_tls", "-use_test_ca", "-ca_file", certificates.ca);
    args.push("-server_host_override", certificates.serverName);
  }
  return { command, args };
}

/** Runs something while our interop server listens; plaintext without certificates. */
export async function withOwnServer<T>(
  certificates: TestCertificates | undefined,
  run: (port: string) => Promise<T>,
): Promise<T> {
  const tls = certificates === undefined ? [] : ["--cert", certificates.certificate, "--key", certificates.key];
  const server = new Child(ownProgram("interop-server", tls));
  try {
    const { addr } = await server.next("ready");
    return await run(String(addr).split(":")[1]);
  } finally {
    await server.stop();
  }
}

/** The same with grpc-go's server. */
export async function withGoServer<T>(
  command: string,
  certificates: TestCertificates | undefined,
  run: (port: string) => Promise<T>,
): Promise<T> {
  const port = String(await findFreePorts(1));
  const args = ["-port", port];
  if (certificates !== undefined)
    args.push("-use_tls", "-tls_cert_file", certificates.certificate, "-tls_key_file", certificates.key);
  const server = new Child({ command, args });
  try {
    await untilOpen(Number(port));
    return await run(port);
  } finally {
    await server.stop();
  }
}

/** One process a case, one after the other; it passes by ending with 0 in time. */
export async function runCases(
  names: readonly string[],
  commandOf: (name: string) => CommandLine,
  timeoutMs: number = CASE_TIMEOUT_MS,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const id of names) {
    const { command, args } = commandOf(id);
    const { code, stderr, stdout } = await runProgram(command, args, timeoutMs);
    const killed = code === null ? `killed after ${timeoutMs / 1000} s\n` : "";
    if (code === 0) results.push({ id, outcome: "passed" });
    else results.push({ id, outcome: "failed", detail: `${killed}${tail(stdout + stderr)}` });
  }
  return results;
}

async function untilOpen(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await isOpen(port)) return;
    await delay(100);
  }
  throw new Error(`nothing listens on port ${port} after 10 s`);
}

function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => resolve(true));
  socket.on("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
