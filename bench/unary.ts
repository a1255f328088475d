import { fileURLToPath } from "node:url";
import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../test/peers/go-programs.ts";
import { goDriver, goProgram, nodeDriver } from "./harness/load-driver.ts";
import type { Peers, Question } from "./harness/question.ts";
import type { Pair } from "./harness/rounds.ts";

function node(name: string): Pair {
  const path = (role: string): string => fileURLToPath(new URL(`./peers/${name}-${role}.ts`, import.meta.url));
  return { name, server: { command: process.execPath, args: [path("server")] }, driver: nodeDriver(path("client")) };
}

/**
 * How many small unary calls does one core a side make over one connection, and what does a call cost?
 *
 * Bowline has everything on, a deadline that differs in each call and a trace of its own; its peers have neither.
 */
export const unary: Question = {
  name: "unary",
  asks: "small unary calls over one connection: rate, latency and CPU time, against grpc-js, grpc-go and the bare socket",
  concurrencies: [1, 10, 100, 1000],
  quickConcurrencies: [1, 100],
  pairs: (): Peers => {
    const bowline = node("bowline");
    const pairs = [bowline, node("grpc-js"), node("bare-framing")];
    const go = buildGoPrograms("grpcgo-server", "grpcgo-client");
    if (go === undefined) {
      return { pairs, skipped: { "grpc-go": GO_PROGRAMS_MISSING, "grpc-go → bowline": GO_PROGRAMS_MISSING } };
    }
    const driver = goDriver(`${go}/grpcgo-client`);
    const server = goProgram(`${go}/grpcgo-server`, ["-id", ""]);
    pairs.push({ name: "grpc-go", server, driver }, { name: "grpc-go → bowline", server: bowline.server, driver });
    return { pairs, skipped: {} };
  },
  comparisons: [
    { ours: "bowline", theirs: "grpc-js" },
    { ours: "bowline", theirs: "grpc-go" },
    { ours: "bowline", theirs: "bare-framing" },
    { ours: "grpc-go → bowline", theirs: "grpc-go" },
  ],
};
