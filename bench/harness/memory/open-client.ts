import { createInterface } from "node:readline";
import { announce, printLine } from "../../../test/peers/peer-lines.ts";

/** Connects to an address and gives what starts a call that stays open. */
export type ConnectOpen = (address: string) => Promise<() => void>;

/** Calls on one connection, as on those that measure servers. */
const CALLS_A_CONNECTION = 100;

/**
 * The main of a client program that opens calls and keeps them: as many as a line `{"open":N}` on stdin says, a hundred on
 * each connection, with `{"opened":N}` when they are under way.
 */
export async function runOpenClient(address: string, connect: ConnectOpen): Promise<void> {
  let start = await connect(address);
  let started = 0;
  announce({});
  for await (const line of createInterface({ input: process.stdin })) {
    const { open } = JSON.parse(line) as { open: number };
    for (let call = 0; call < open; call++) {
      if (started > 0 && started % CALLS_A_CONNECTION === 0) start = await connect(address);
      start();
      started++;
    }
    printLine({ opened: open });
  }
}
