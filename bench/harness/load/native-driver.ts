import { Child, type PeerLine, type Program } from "../../../test/peers/child.ts";
import { payloadBytes } from "../../peers/echo.ts";
import type { Load } from "./load.ts";
import type { LoadDriver, StartDriver } from "./load-driver.ts";
import type { LoadResult } from "./load-result.ts";
import { readingOf } from "./reading.ts";

/** Go and Rust programs need no warm-up of their own beyond this, in which they connect. */
const RAMP_MS = 200;

/** A Go client of test/peers/go: a process for each load, which counts its CPU time itself. `target` is the flag for the address. */
export function goDriver(program: string, args: readonly string[] = [], target = "-target"): StartDriver {
  return nativeDriver((address, load, seconds) =>
    goProgram(program, [
      ...[target, address, "-load", "-method", load.method, "-messages", String(load.messagesPerCall)],
      ...[
        "-size",
        String(payloadBytes(load.messageBytes)),
        "-c",
        String(load.concurrency),
        "-rate",
        String(load.ratePerSecond),
      ],
      ...(load.connections > 1 ? ["-conns", String(load.connections)] : []),
      ...["-d", `${seconds}s`, "-warmup", `${RAMP_MS}ms`, ...args],
    ]),
  );
}

/** The client of test/peers/rust. */
export function tonicDriver(program: string): StartDriver {
  return nativeDriver((address, load, seconds) => {
    const size = String(payloadBytes(load.messageBytes));
    return { command: program, args: ["client", address, String(load.concurrency), String(seconds), size] };
  });
}

/** tonic's client makes unary calls in a closed loop over one connection. */
export function isTonicLoad({ method, connections, ratePerSecond, capacityShare }: Load): boolean {
  return method === "unary" && connections === 1 && ratePerSecond === 0 && capacityShare === 0;
}

/** A Go program that may use one core only. */
export function goProgram(command: string, args: readonly string[]): Program {
  return { command, args, env: { GOMAXPROCS: "1" } };
}

function nativeDriver(command: (address: string, load: Load, seconds: number) => Program): StartDriver {
  return async (server, address, core): Promise<LoadDriver> => ({
    run: async (load, seconds) => {
      const client = new Child(command(address, load, seconds), core);
      const end = client.next("load", seconds * 1000);
      await client.next("begin");
      const before = await server.cpuMicroseconds();
      const line = await end;
      const after = await server.cpuMicroseconds();
      const clientUs = Number(line.client_cpu_seconds) * 1e6;
      return readingOf(load, resultOf(line), { clientUs, serverUs: after - before });
    },
    close: async () => {},
  });
}

function resultOf(line: PeerLine): LoadResult {
  const firstError = Object.keys((line.by_error ?? {}) as Readonly<Record<string, number>>)[0];
  return {
    calls: Number(line.ok),
    messages: 0,
    errors: Number(line.errors),
    seconds: Number(line.seconds),
    p50Ms: Number(line.p50_ms),
    p99Ms: Number(line.p99_ms),
    ...(firstError === undefined ? {} : { firstError }),
  };
}
