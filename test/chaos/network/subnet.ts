import { BlockList, isIPv4 } from "node:net";

const MIN_PREFIX = 8;
const MAX_PREFIX = 30;

/** A range of IPv4 addresses such as `10.1.0.0/24`, and which of them are taken. */
export class Subnet {
  /** The range as it was given. */
  readonly range: string;
  readonly prefix: number;
  /** The link of its switch, in the namespace of all switches. */
  readonly bridge: string;
  readonly #first: number;
  #ports = 0;
  readonly #taken: Set<string> = new Set();
  readonly #block = new BlockList();

  /** @throws RangeError for what is no range of IPv4, larger than /8 or smaller than /30 */
  constructor(range: string, bridge: string) {
    const [, base = "", digits = ""] = /^([\d.]+)\/(\d+)$/.exec(range) ?? [];
    const prefix = Number(digits);
    if (!isIPv4(base) || prefix < MIN_PREFIX || prefix > MAX_PREFIX) {
      throw new RangeError(`subnet is ${JSON.stringify(range)}: give a range of IPv4, /8 to /30, as in "10.1.0.0/24"`);
    }
    const number = base.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
    this.range = range;
    this.prefix = prefix;
    this.bridge = bridge;
    this.#first = number - (number % 2 ** (32 - prefix));
    this.#block.addSubnet(base, prefix);
  }

  /** A name for the next cable's end at the switch. */
  nextPort(): string {
    return `${this.bridge}p${this.#ports++}`;
  }

  /**
   * Takes an address: this one, or the first that is free.
   *
   * @throws RangeError when it is taken, of another range, or none is left
   */
  take(address?: string): string {
    const found = address ?? this.#free();
    if (!isIPv4(found) || !this.#block.check(found)) {
      throw new RangeError(`${found} is no address of ${this.range}: give one that is, or none`);
    }
    if (this.#taken.has(found))
      throw new RangeError(`${found} is taken: give another address of ${this.range}, or none`);
    this.#taken.add(found);
    return found;
  }

  #free(): string {
    const last = 2 ** (32 - this.prefix) - 2;
    for (let place = 1; place <= last; place++) {
      const number = this.#first + place;
      const address = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
      if (!this.#taken.has(address)) return address;
    }
    throw new RangeError(`${this.range} has no address left: make it larger`);
  }
}
