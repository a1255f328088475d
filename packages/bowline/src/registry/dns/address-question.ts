import { isIP } from "node:net";
import { formatHostPort, type HostPort } from "../instance/address.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import type { ResolveHost } from "./dns-resolver.ts";
import { idsOfFailedFamily } from "./failed-family.ts";
import type { DnsAnswer, DnsQuestion } from "./question.ts";

/** All addresses (A and AAAA) of a host, each an instance with the port. */
export class AddressQuestion implements DnsQuestion {
  readonly #address: HostPort;
  readonly #resolve: ResolveHost;

  constructor(address: HostPort, resolve: ResolveHost) {
    this.#address = address;
    this.#resolve = resolve;
  }

  get subject(): string {
    return this.#address.host;
  }

  get isFixed(): boolean {
    return isIP(this.#address.host) !== 0;
  }

  async ask(known: ReadonlyMap<string, Instance>): Promise<DnsAnswer> {
    const { host, port } = this.#address;
    const answer = this.isFixed ? { addresses: [host], ttlMs: undefined } : await this.#resolve(host);
    if (answer.addresses.length === 0) return { instances: new Map(), ttlMs: answer.ttlMs };
    const ids = answer.addresses.map((address) => formatHostPort({ host: address, port }));
    const instances = new Map<string, Instance>();
    for (const id of [...ids, ...idsOfFailedFamily(known.keys(), answer)].sort())
      instances.set(id, known.get(id) ?? instanceAt(id));
    return { instances, ttlMs: answer.ttlMs };
  }
}
