import { fileURLToPath } from "node:url";
import { Child } from "../../../test/peers/child.ts";
import type { Direction } from "../../libraries/library.ts";
import type { MessageKind } from "../../messages/message-kind.ts";
import { type Load, load } from "../load/load.ts";
import { CLIENT_CORE } from "../load/load-driver.ts";
import type { Reading } from "../load/reading.ts";
import type { Contestant, Round } from "../measure/contestant.ts";

/** Messages of a kind in one direction: a row of the question `codec`. */
export interface CodecLoad extends Load {
  readonly kind: MessageKind;
  readonly direction: Direction;
}

const PROGRAM = fileURLToPath(new URL("../../libraries/library-program.ts", import.meta.url));
/** A loop without input or output needs no seconds: a reading takes this part of what the options say. */
const SHARE_OF_TIME = 1 / 20;

/** The load of a row. */
export function codecLoad(kind: MessageKind, direction: Direction): CodecLoad {
  return { ...load(`${kind} ${direction}`), kind, direction };
}

/**
 * A library as a contestant: one process a round, bound to a core, in which all rows are warmed up before the first is read. So each is
 * measured in a process that knows all kinds of messages, as a service does.
 */
export function libraryContestant(name: string, directions: readonly Direction[]): Contestant {
  return {
    name,
    can: (row) => directions.includes((row as CodecLoad).direction),
    measure: (round) => measure(name, round),
  };
}

async function measure(name: string, { loads, options, take }: Round): Promise<void> {
  const rows = loads as readonly CodecLoad[];
  const child = new Child({ command: process.execPath, args: ["--expose-gc", PROGRAM, name] }, CLIENT_CORE);
  try {
    await child.next("ready");
    for (const kind of new Set(rows.map((row) => row.kind))) {
      const prepared = child.next("prepared");
      child.send({ prepare: kind });
      await prepared;
    }
    for (const row of rows) await run(child, row, options.warmupSeconds * SHARE_OF_TIME);
    for (const row of rows) take(row, await run(child, row, options.seconds * SHARE_OF_TIME));
  } finally {
    await child.stop();
  }
}

async function run(child: Child, { kind, direction }: CodecLoad, seconds: number): Promise<Reading> {
  const end = child.next("messages", seconds * 1000);
  child.send({ kind, direction, seconds });
  const { messages, cpuSeconds, messageBytes } = await end;
  const messagesPerSecond = Number(messages) / Number(cpuSeconds);
  const megabytesPerSecond = (messagesPerSecond * Number(messageBytes)) / 1e6;
  return { figures: { messagesPerSecond, megabytesPerSecond }, errors: 0, labels: { message: kind, direction } };
}
