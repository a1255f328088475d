import type { Instance } from "../registry.ts";

/** Instances that DNS gives for a name. */
export interface DnsAnswer {
  /** By id, in a stable order; an instance that was known and is as before is the same object. */
  readonly instances: ReadonlyMap<string, Instance>;
  /** How long the answer holds; undefined when the source does not say. */
  readonly ttlMs: number | undefined;
}

/** A question for DNS that is asked again and again. */
export interface DnsQuestion {
  /** The name, for messages. */
  readonly subject: string;
  /** One answer for all time: a literal address. */
  readonly isFixed: boolean;
  /** Rejects, or answers with none, when there is no answer. `known` is what the question gave before. */
  ask(known: ReadonlyMap<string, Instance>): Promise<DnsAnswer>;
}
