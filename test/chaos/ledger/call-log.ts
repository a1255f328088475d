import { readFileSync, writeFileSync } from "node:fs";

/** What a call may be: a unary one that may be repeated, one that may not, a stream of answers. */
export const CALL_KINDS = ["read", "write", "watch"] as const;

/** One of {@link CALL_KINDS}. */
export type CallKind = (typeof CALL_KINDS)[number];

/** How a call that failed came to its end. */
export interface Failure {
  readonly client: number;
  readonly sequence: number;
  readonly kind: CallKind;
  readonly code: number;
  readonly text: string;
  /** Of the last attempt; empty when none was made. */
  readonly instance: string;
  readonly attempt: number;
  /** False: the client is certain that no handler saw it. */
  readonly wasSent: boolean;
  /** Which server had answered part of a stream; else empty. */
  readonly serverId: string;
  /** See {@link wallMs}. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** A time that processes of one machine can compare, in ms; steps of the system's clock do not move it. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Bytes of a call: kind, ends, code, one to spare, duration in ms. */
const RECORD_BYTES = 8;
/** Stands for the code of a call that has not ended. */
const OPEN = 255;

/** The calls that one client process has started, by their number from 0, with what became of each. */
export class CallLog {
  readonly client: number;
  readonly failures: Failure[];
  #bytes: Buffer;
  #count: number;

  private constructor(client: number, bytes: Buffer, failures: Failure[]) {
    this.client = client;
    this.#bytes = bytes;
    this.#count = bytes.length / RECORD_BYTES;
    this.failures = failures;
  }

  /** An empty one. */
  static begin(client: number): CallLog {
    return new CallLog(client, Buffer.alloc(0), []);
  }

  /** One that was saved to a path. */
  static load(client: number, path: string): CallLog {
    return new CallLog(client, readFileSync(path), JSON.parse(readFileSync(`${path}.json`, "utf8")) as Failure[]);
  }

  /** Writes it to two files: this path, and the same with `.json` for the failures. */
  save(path: string): void {
    writeFileSync(path, this.#bytes.subarray(0, this.#count * RECORD_BYTES));
    writeFileSync(`${path}.json`, JSON.stringify(this.failures));
  }

  /** Calls that were started. */
  get count(): number {
    return this.#count;
  }

  /** A call begins; gives its number. */
  start(kind: CallKind): number {
    const at = this.#count * RECORD_BYTES;
    if (at === this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(8192, this.#bytes.length))]);
    }
    this.#bytes[at] = CALL_KINDS.indexOf(kind);
    this.#bytes[at + 2] = OPEN;
    return this.#count++;
  }

  /** It has ended with an answer (code 0) or an error. */
  end(sequence: number, code: number, durationMs: number): void {
    const at = sequence * RECORD_BYTES;
    this.#bytes[at + 1]++;
    this.#bytes[at + 2] = code;
    this.#bytes.writeFloatLE(durationMs, at + 4);
  }

  /** What kind of call it is. */
  kind(sequence: number): CallKind {
    return CALL_KINDS[this.#bytes[sequence * RECORD_BYTES]] as CallKind;
  }

  /** How often it has ended: once, if all is well. */
  ends(sequence: number): number {
    return this.#bytes[sequence * RECORD_BYTES + 1];
  }

  /** Its status code; 255 while it is open. */
  code(sequence: number): number {
    return this.#bytes[sequence * RECORD_BYTES + 2];
  }

  /** From start to end, in ms. */
  durationMs(sequence: number): number {
    return this.#bytes.readFloatLE(sequence * RECORD_BYTES + 4);
  }
}
