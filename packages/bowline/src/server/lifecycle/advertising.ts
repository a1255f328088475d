import type { Address, Registry } from "../../registry/registry.ts";
import { within } from "../../rpc/clock.ts";
import { type Advertised, advertise } from "./advertise.ts";
import type { EntryContext, EntryOptions } from "./registration.ts";

/** Interfaces and their addresses change: leases of DHCP, tunnels. So often it is looked, whatever else happens. */
const LOOK_AGAIN_MS = 60_000;

/** The addresses that a server advertises, found out anew when that may come to another choice. */
export class Advertising {
  readonly #options: EntryOptions;
  readonly #context: EntryContext;
  readonly #bound: string;
  readonly #registry: Registry;
  #current: Advertised = { addresses: [], notes: [], isProvisional: true };
  #chosenAt = 0;
  /** What the registry was last reached from. */
  #reachedFrom: string | null = null;

  /** `bound` is what the server listens on. */
  constructor(options: EntryOptions, context: EntryContext, bound: string, registry: Registry) {
    this.#options = options;
    this.#context = context;
    this.#bound = bound;
    this.#registry = registry;
  }

  /** The same object until there are others. */
  get addresses(): readonly Address[] {
    return this.#current.addresses;
  }

  get notes(): readonly string[] {
    return this.#current.notes;
  }

  /** For the log: `10.0.0.7:8080`, `vpc-a=10.0.0.7:8080`. */
  get texts(): readonly string[] {
    return this.addresses.map(({ address, network }) => (network === "" ? address : `${network}=${address}`));
  }

  /** The choice is a guess, or an old one. */
  get isDue(): boolean {
    return this.#current.isProvisional || this.#context.clock.fresh() - this.#chosenAt >= LOOK_AGAIN_MS;
  }

  /** Chooses. `isRegistered`: the registry is reached. Rejects when there is no address any more; the last choice stays then. */
  async choose(isRegistered: boolean, withinMs: number): Promise<void> {
    this.#chosenAt = this.#context.clock.fresh();
    const next = await this.#choice(isRegistered, withinMs);
    const isSame = JSON.stringify(next.addresses) === JSON.stringify(this.addresses);
    this.#current = isSame ? { ...next, addresses: this.addresses } : next;
  }

  /** The registry may say only once it is reached which of several addresses others can reach. */
  async #choice(isRegistered: boolean, withinMs: number): Promise<Advertised> {
    const first = this.#resolve(null);
    if (!first.isProvisional) return first;
    const answer = await this.#ask(withinMs);
    this.#reachedFrom = answer ?? this.#stillOwn(this.#reachedFrom);
    if (this.#reachedFrom !== null) return this.#resolve(this.#reachedFrom);
    // A registry that is reached and does not know will not know later.
    return { ...first, isProvisional: !isRegistered || answer === undefined };
  }

  /** While the registry is away the address that has led to it is a better guess than any other. */
  #stillOwn(host: string | null): string | null {
    const all = Object.values(this.#context.interfaces()).flat();
    return all.some((each) => each?.address === host) ? host : null;
  }

  #resolve(reachedFrom: string | null): Advertised {
    return advertise(this.#options.advertise, this.#options.networks ?? [], {
      bound: this.#bound,
      interfaces: this.#context.interfaces(),
      environment: this.#context.environment,
      isMachineOnly: this.#registry.isMachineOnly === true,
      reachedFrom,
      portOffset: this.#options.portOffset ?? 0,
    });
  }

  /** Undefined where there was no answer in time. */
  async #ask(withinMs: number): Promise<string | null | undefined> {
    let address: string | null | undefined;
    const asked = (this.#registry.reachedFrom?.() ?? Promise.resolve(null)).then(
      (found) => {
        address = found;
      },
      () => {},
    );
    await within(this.#context.clock, asked, withinMs);
    return address;
  }
}
