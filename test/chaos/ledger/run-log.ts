import { openSync, readFileSync, writeSync } from "node:fs";
import { wallMs } from "./call-log.ts";

/** What happens to a handler: it begins, is told that nobody waits any more, is done. */
export const RUN_PHASES = ["began", "cancelled", "ended"] as const;

/** One of {@link RUN_PHASES}. */
export type RunPhase = (typeof RUN_PHASES)[number];

/** Something that happened to a handler. */
export interface RunEvent {
  readonly client: number;
  readonly sequence: number;
  readonly phase: RunPhase;
  /** See `wallMs`. */
  readonly atMs: number;
}

const RECORD_BYTES = 20;

/** Writes what handlers do to a file, each event at once: what a killed process has begun is known. */
export class RunLog {
  readonly #file: number;
  readonly #record = Buffer.alloc(RECORD_BYTES);

  /** Goes on with the file at `path`, which is made if it is missing. */
  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** Something happens to the handler of this call. */
  note(client: number, sequence: number, phase: RunPhase): void {
    this.#record.writeUInt32LE(client, 0);
    this.#record.writeUInt32LE(sequence, 4);
    this.#record.writeUInt32LE(RUN_PHASES.indexOf(phase), 8);
    this.#record.writeDoubleLE(wallMs(), 12);
    writeSync(this.#file, this.#record);
  }
}

/** The events of a file, in order; a record that a killed process has not finished is left out. */
export function* readRuns(path: string): Iterable<RunEvent> {
  const bytes = readFileSync(path);
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    yield {
      client: bytes.readUInt32LE(at),
      sequence: bytes.readUInt32LE(at + 4),
      phase: RUN_PHASES[bytes.readUInt32LE(at + 8)] as RunPhase,
      atMs: bytes.readDoubleLE(at + 12),
    };
  }
}
