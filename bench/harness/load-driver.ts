import { Child, type PeerLine, type Program } from "../../test/peers/child.ts";
import type { LoadResult } from "./load-loop.ts";

/** Core of the client; the server has core 0. */
const CLIENT_CORE = 1;

/** One reading: a load and what it cost. */
export interface Reading {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time a call in microseconds. */
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
  readonly errors: number;
  readonly firstError?: string;
}

/** Puts load on one server. */
export interface LoadDriver {
  run(concurrency: number, seconds: number): Promise<Reading>;
  close(): Promise<void>;
}

/** Starts a driver for a server that listens on `address`. */
export type StartDriver = (server: Child, address: string) => Promise<LoadDriver>;

/** A client program of ours (harness/load-client.ts): one process for all loads, so that it stays warm. */
export function nodeDriver(path: string): StartDriver {
  return async (server, address) => {
    const client = new Child({ command: process.execPath, args: [path, address] }, CLIENT_CORE);
    await client.next("ready");
    return {
      run: async (concurrency, seconds) => {
        const begin = client.next("begin");
        const end = client.next("calls", seconds * 1000);
        client.send({ concurrency, seconds });
        await begin;
        const before = await cpuOf(client, server);
        const result = (await end) as PeerLine & LoadResult;
        const after = await cpuOf(client, server);
        return reading(result, after.client - before.client, after.server - before.server);
      },
      close: () => client.stop(),
    };
  };
}

/** A Go client of test/peers/go: a process for each load; it needs no warm-up of its own and counts its CPU time itself. */
export function goDriver(program: string): StartDriver {
  return async (server, address) => ({
    run: async (concurrency, seconds) => {
      const args = [
        "-target",
        address,
        "-load",
        "-size",
        "22",
        "-c",
        String(concurrency),
        "-d",
        `${seconds}s`,
        "-warmup",
        "0s",
      ];
      const before = await server.cpuMicroseconds();
      const client = new Child(goProgram(program, args), CLIENT_CORE);
      const line = await client.next("load", seconds * 1000);
      const after = await server.cpuMicroseconds();
      return reading(goResult(line), Number(line.client_cpu_seconds) * 1e6, after - before);
    },
    close: async () => {},
  });
}

/** A Go program that may use one core only. */
export function goProgram(command: string, args: readonly string[]): Program {
  return { command, args, env: { GOMAXPROCS: "1" } };
}

async function cpuOf(client: Child, server: Child): Promise<{ client: number; server: number }> {
  const [clientUs, serverUs] = await Promise.all([client.cpuMicroseconds(), server.cpuMicroseconds()]);
  return { client: clientUs, server: serverUs };
}

function goResult(line: PeerLine): LoadResult {
  const errors = line.by_error as Readonly<Record<string, number>> | undefined;
  return {
    calls: Number(line.ok),
    errors: Number(line.errors),
    seconds: Number(line.seconds),
    p50Ms: Number(line.p50_ms),
    p99Ms: Number(line.p99_ms),
    ...(errors === undefined ? {} : { firstError: Object.keys(errors)[0] }),
  };
}

function reading(result: LoadResult, clientCpuUs: number, serverCpuUs: number): Reading {
  const { calls, errors, seconds, p50Ms, p99Ms, firstError } = result;
  return {
    callsPerSecond: calls / seconds,
    p50Ms,
    p99Ms,
    clientCpuUs: clientCpuUs / calls,
    serverCpuUs: serverCpuUs / calls,
    errors,
    ...(firstError === undefined ? {} : { firstError }),
  };
}
