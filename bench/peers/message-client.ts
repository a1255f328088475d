import { parseArgs } from "node:util";
import { type LoadConnection, runLoadClient, unaryOnly } from "../harness/load/load-client.ts";
import type { Slot } from "../harness/load/slot.ts";
import { type CallKind, checkAnswer, isCallKind } from "../messages/answers.ts";
import { INSTANCES, type MessageSet, messagesOf } from "../messages/message-kind.ts";

/** One connection of a client of bench.v1.Bench. */
export interface MessageConnection {
  /** Makes a call with the n-th message of the set, and gives the answer's bytes. */
  answer(index: number): Promise<Uint8Array>;
  /** Makes a call with the n-th message; it ends by `slot.resolved`, or by `slot.rejected` when the answer is not right. */
  start(index: number, slot: Slot): void;
}

/** Connects to `host:port` to call with messages of a set. */
export type ConnectWithMessages = (address: string, set: MessageSet, kind: CallKind) => MessageConnection;

/**
 * The main of a client `PROGRAM ADDRESS --messages KIND`: as {@link runLoadClient}, with all messages of the kind in turns. Each connection
 * begins with one call for each message, whose answer is looked at in full.
 */
export async function runMessageClient(connect: ConnectWithMessages): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { messages: { type: "string", default: "" } },
  });
  const kind = values.messages;
  if (!isCallKind(kind)) throw new Error(`--messages ${kind}: give tiny or order`);
  const set = messagesOf(kind);
  await runLoadClient(positionals[0], async (address): Promise<LoadConnection> => {
    const connection = connect(address, set, kind);
    for (let index = 0; index < INSTANCES; index++) checkAnswer(set, index, await connection.answer(index));
    let next = 0;
    return {
      start: (load) => {
        unaryOnly(load);
        return (slot) => {
          next = (next + 1) % INSTANCES;
          connection.start(next, slot);
        };
      },
    };
  });
}
