import type { ClientOptions } from "bowline";

/** A client that caller.ts makes and keeps, by its name. */
export interface Opening {
  readonly open: string;
  readonly target: string;
  readonly networks?: ClientOptions["networks"];
  readonly rewrite?: ClientOptions["rewrite"];
}

/** One call by a client that is open. */
export interface Calling {
  readonly call: string;
  /** Deadline of the call. */
  readonly timeoutMs: number;
  /** Calls again and again until this server answers, or `patienceMs` are over. Absent: one call. */
  readonly until?: string;
  readonly patienceMs?: number;
}

/** What became of a call. */
export type Outcome =
  | {
      /** Id of the server that answered. */
      readonly server: string;
      /** Where the server saw the connection come from, without the port. */
      readonly from: string;
    }
  | {
      /** Name of the status. */
      readonly code: string;
      readonly text: string;
    };
