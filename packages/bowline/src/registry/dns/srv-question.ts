import { formatHostPort } from "../instance/address.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import type { HostAnswer, ResolveHost, ResolveSrv, SrvRecord } from "./dns-resolver.ts";
import { idsOfFailedFamily } from "./failed-family.ts";
import type { DnsAnswer, DnsQuestion } from "./question.ts";

/** A target of one dot says that the service is decidedly not there (RFC 2782). */
const NOT_THERE: ReadonlySet<string> = new Set(["", "."]);
/** RFC 2782: a weight of 0 among others means a very small chance; theirs are usually in tens. */
const SMALL_WEIGHT = 1;

/**
 * The SRV records of a name (RFC 2782): each address of each target of the lowest priority is an instance, weighted as its record says.
 *
 * Targets of a higher priority are for the time when there is no lower one. A target that does not resolve at the moment keeps the addresses
 * that it had, and one of which only A or AAAA can be asked keeps those of the other family.
 */
export class SrvQuestion implements DnsQuestion {
  readonly subject: string;
  readonly isFixed: boolean = false;
  readonly #resolveSrv: ResolveSrv;
  readonly #resolve: ResolveHost;
  /** Ids by target. */
  #idsOf: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(name: string, resolveSrv: ResolveSrv, resolve: ResolveHost) {
    this.subject = name;
    this.#resolveSrv = resolveSrv;
    this.#resolve = resolve;
  }

  async ask(known: ReadonlyMap<string, Instance>): Promise<DnsAnswer> {
    const records = (await this.#resolveSrv(this.subject)).filter(({ name }) => !NOT_THERE.has(name));
    const lowest = Math.min(...records.map(({ priority }) => priority));
    const chosen = records.filter(({ priority }) => priority === lowest);
    const isWeighted = chosen.some(({ weight }) => weight > 0);
    const answers = await Promise.allSettled(chosen.map(({ name }) => this.#resolve(name)));
    const idsOf = new Map<string, readonly string[]>();
    const found = new Map<string, Instance>();
    let ttlMs: number | undefined;
    for (const [index, answer] of answers.entries()) {
      const record = chosen[index];
      const key = keyOf(record);
      if (answer.status === "fulfilled") ttlMs = shorter(ttlMs, answer.value.ttlMs);
      const before = this.#idsOf.get(key) ?? [];
      const ids = answer.status === "fulfilled" ? idsAt(record, answer.value, before) : before;
      idsOf.set(key, ids);
      const weight = isWeighted ? record.weight || SMALL_WEIGHT : 1;
      for (const id of ids) found.set(id, kept(known.get(id), id, weight));
    }
    if (found.size === 0) {
      const failed = answers.find((answer) => answer.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
    this.#idsOf = idsOf;
    return { instances: new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1))), ttlMs };
  }
}

function keyOf({ name, port }: SrvRecord): string {
  return `${name}:${port}`;
}

function idsAt({ port }: SrvRecord, answer: HostAnswer, before: readonly string[]): readonly string[] {
  const ids = answer.addresses.map((host) => formatHostPort({ host, port }));
  return [...ids, ...idsOfFailedFamily(before, answer)];
}

function kept(known: Instance | undefined, id: string, weight: number): Instance {
  return known?.weight === weight ? known : { ...instanceAt(id), weight };
}

function shorter(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
