/** A row of values that looks like chance and is the same in each run: a linear congruential generator. */
export class Values {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // The first values of neighbouring seeds resemble each other.
    for (let i = 0; i < 4; i++) this.integer(2);
  }

  /** A whole number of 0 .. `below` − 1; `below` is at most 2³². */
  integer(below: number): number {
    // Knuth, "The Art of Computer Programming" 2, 3.3.4, line 26; the upper bits are the good ones.
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * below);
  }

  /** One of the entries. */
  of<T>(entries: readonly T[]): T {
    return entries[this.integer(entries.length)];
  }

  /** A whole number of so many bits, the top one set: so it has a known size on the wire. */
  bits(bits: number): bigint {
    let value = 1n;
    for (let bit = 1; bit < bits; bit++) value = (value << 1n) | BigInt(this.integer(2));
    return value;
  }

  /** So many bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.integer(256));
  }
}

/** Names of 12 to 15 bytes; a third of them is not all ASCII. */
export const NAMES: readonly string[] = [
  "Ada Lovelace",
  "Grace Hopper",
  "Zoë Ångström",
  "Jürgen Müller",
  "Mary M. Shaw",
  "Barbara Liskov",
  "李 王小云",
  "Edsger Dijkstra",
  "Anita B. Borg",
  "Søren Kierke",
  "Radia Perlman",
  "José Núñez",
  "Frances Allen",
  "Олег Ким",
  "Karen S. Jones",
  "Alan Curtis Kay",
];
