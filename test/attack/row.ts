import type { AttackedClient } from "./attacked-client.ts";
import type { AttackedServer } from "./attacked-server.ts";

/** How long and how often an attack goes on. */
export interface Form {
  readonly name: "full" | "short";
  /** Length of each of the three windows in which honest calls are counted: before, during, after. */
  readonly windowMs: number;
  /** An attack is repeated without pause for a window, and never more often than this. */
  readonly maxRounds: number;
  /** Scale for attacks that are a matter of number, such as 1000 connections: 1 or a part of it. */
  readonly scale: number;
  /** How long memory may take to come back, see memory-verdict.ts; 0 = not asked. */
  readonly settleMs: number;
  /** Honest throughput during and after, as parts of that before; 0 = shown, not asked: ratios over a short window say little. */
  readonly duringRatio: number;
  readonly afterRatio: number;
}

/** What `npm run attack` does. */
export const FULL: Form = {
  name: "full",
  windowMs: 600,
  maxRounds: 40,
  scale: 1,
  settleMs: 30_000,
  duringRatio: 0.8,
  afterRatio: 0.95,
};

/** What is part of `npm test`: each attack once, on a smaller scale, with everything that is a count. */
export const SHORT: Form = {
  name: "short",
  windowMs: 0,
  maxRounds: 1,
  scale: 0.1,
  settleMs: 0,
  duringRatio: 0,
  afterRatio: 0,
};

interface AnyRow {
  /** 1 to 30: its line in the table of attacks. From 31 on: attacks that the table does not name. */
  readonly row: number;
  readonly title: string;
  /** The figure that is asked, in words. */
  readonly required: string;
  /** What the attacked side must have counted and logged, by the name of the limit, error or mistake; each at least once. */
  readonly reasons?: readonly string[];
  /** Asks for more than the usual 80 % of honest throughput during the attack. */
  readonly duringRatio?: number;
  /** Left out of the short form: it can't be had in its time. */
  readonly isLong?: boolean;
  /** Most of its time it waits for timers: it runs beside the others. */
  readonly isWaiting?: boolean;
}

/** An attack on a server. `attack` throws when the figure is not met, and says what it saw. */
export interface ServerRow extends AnyRow {
  readonly role: "server";
  /** Options of `createServer`, given as JSON. */
  readonly options?: object;
  /** Descriptors that the server's process may have, where the system can say so. */
  readonly maxDescriptors?: number;
  /** Its port speaks TLS: honest clients too. */
  readonly isOverTls?: boolean;
  readonly attack: (server: AttackedServer, form: Form, round: number) => Promise<string>;
}

/** An attack on a client by the server it calls. */
export interface ClientRow extends AnyRow {
  readonly role: "client";
  readonly attack: (client: AttackedClient, form: Form, round: number) => Promise<string>;
}

/** One test of the matrix. */
export type Row = ServerRow | ClientRow;
