import type { Journalled } from "../instance/journal.ts";

/** Where to ship. */
export interface Home {
  readonly street: string;
  readonly city: string;
  readonly postcode: string;
  readonly country: string;
}

/** A customer. */
export interface Customer {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly tier: "guest" | "member" | "gold";
  readonly addresses: Readonly<Record<string, Home>>;
  readonly defaultAddress: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** A customer has said where to ship. */
export interface AddressSaved {
  readonly userId: number;
  readonly name: string;
  readonly address: Home;
  readonly makeDefault: boolean;
}

/** The shop has customers 1 to this. */
export const CUSTOMERS = 1000;

const FIRST_NAMES = ["Ada", "Bela", "Carla", "Dario", "Eva", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luca"];
const LAST_NAMES = ["Anker", "Boje", "Carneiro", "Duarte", "Ekman", "Ferro", "Garcia", "Holm", "Ivanov", "Jansen"];
const PORTS = [
  ["Lisboa", "1100-148", "PT"],
  ["Bergen", "5003", "NO"],
  ["Kiel", "24103", "DE"],
  ["Genova", "16124", "IT"],
  ["Cork", "T12 X70A", "IE"],
] as const;
const TIERS = ["guest", "member", "member", "gold"] as const;
const OPENING_DAY = Date.UTC(2019, 4, 6);
const DAY_MS = 86_400_000;

/** The customers: born with the shop, changed by events. */
export class Users implements Journalled<AddressSaved> {
  /** Only those who have changed something; the others are made when asked for. */
  #changed = new Map<number, Customer>();

  find(id: number): Customer | undefined {
    if (!Number.isInteger(id) || id < 1 || id > CUSTOMERS) return undefined;
    return this.#changed.get(id) ?? newCustomer(id);
  }

  apply({ userId, name, address, makeDefault }: AddressSaved): void {
    const user = this.find(userId);
    if (user === undefined) return;
    const defaultAddress = makeDefault ? name : user.defaultAddress;
    this.#changed.set(userId, { ...user, addresses: { ...user.addresses, [name]: address }, defaultAddress });
  }

  snapshot(): unknown {
    return [...this.#changed];
  }

  restore(snapshot: unknown): void {
    this.#changed = new Map(snapshot as [number, Customer][]);
  }
}

function newCustomer(id: number): Customer {
  const firstName = FIRST_NAMES[id % FIRST_NAMES.length];
  const lastName = LAST_NAMES[id % LAST_NAMES.length];
  const [city, postcode, country] = PORTS[id % PORTS.length];
  return {
    id,
    name: `${firstName} ${lastName}`,
    email: `${firstName}.${lastName}.${id}@example.com`.toLowerCase(),
    tier: TIERS[id % TIERS.length],
    addresses: { home: { street: `Quay ${id}`, city, postcode, country } },
    defaultAddress: "home",
    since: OPENING_DAY + id * DAY_MS,
  };
}
