import { fileURLToPath } from "node:url";
import type { Program } from "../../test/peers/child.ts";

/** The command line of a program in conformance/programs. */
export function ownProgram(name: string, args: readonly string[]): Program {
  return {
    command: process.execPath,
    args: [fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url)), ...args],
  };
}

/** Our server of peer.v1.Echo on a free port. */
export function echoServer(): Program {
  return {
    command: process.execPath,
    args: [fileURLToPath(new URL("../../test/peers/echo-server.ts", import.meta.url))],
  };
}
