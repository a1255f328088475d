import { createInterface } from "node:readline";
import { announce, printLine } from "../../test/peers/peer-lines.ts";
import { LoadLoop, type StartCall } from "./load-loop.ts";

/**
 * The main of a client program `PROGRAM ADDRESS`: connects, then runs a load for each line `{"concurrency":100,"seconds":2}` on
 * stdin, printing `{"begin":true}` when counting starts and the result when it is over.
 *
 * `connect` gets the server's `host:port`, makes one call to see that the answer is right, and returns how to start one.
 */
export async function runLoadClient(connect: (address: string) => Promise<StartCall>): Promise<void> {
  const loop = new LoadLoop(await connect(process.argv[2]));
  announce({});
  for await (const line of createInterface({ input: process.stdin })) {
    const { concurrency, seconds } = JSON.parse(line) as { concurrency: number; seconds: number };
    const result = await loop.run(concurrency, seconds, () => printLine({ begin: true }));
    printLine({ ...result });
  }
}
