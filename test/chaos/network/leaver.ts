// A program for tests of networks: makes one with a program in it that outlives its parent, then ends as it is told.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { createNetwork } from "./network.ts";

const network = createNetwork();
const { namespace } = network.host("a", network.subnet("10.9.0.0/24"));
const inside = spawn("ip", ["netns", "exec", namespace, "sleep", "120"], { stdio: "ignore", detached: true });
createInterface({ input: process.stdin }).on("line", () => {
  throw new Error("the end that was asked for");
});
process.stdout.write(`${JSON.stringify({ inside: inside.pid })}\n`);
