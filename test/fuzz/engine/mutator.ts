import type { Chance } from "../../codec/chance.ts";
import type { Framing } from "./fuzz-target.ts";

/** What a mutator has to know of its target. */
export interface MutatorOptions {
  readonly tokens: readonly Uint8Array[];
  readonly maxBytes: number;
  readonly framing?: Framing;
}

/** Numbers on whose far side readers behave differently. */
const EDGES = [
  0, 1, 2, 3, 4, 5, 8, 9, 16, 31, 32, 61, 62, 63, 64, 100, 127, 128, 129, 255, 256, 4095, 4096, 16_383, 16_384, 16_385,
  32_767, 32_768, 65_535, 65_536, 0xffffff, 0x1000000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xffffffff,
];
const MOST_STEPS = 6;
const MOST_INSERTED_BYTES = 24;

type Mutation = (input: Buffer) => Buffer;

/** Makes new inputs of old ones; all it does follows from its chance. */
export class Mutator {
  readonly #chance: Chance;
  readonly #options: MutatorOptions;
  readonly #mutations: readonly Mutation[];

  constructor(chance: Chance, options: MutatorOptions) {
    this.#chance = chance;
    this.#options = options;
    this.#mutations = [
      (input) => this.#flipBit(input),
      (input) => this.#setByte(input),
      (input) => this.#addToByte(input),
      (input) => this.#writeEdge(input),
      (input) => this.#writeVarint(input),
      (input) => this.#insert(input, chance.bytes(chance.int(1, MOST_INSERTED_BYTES))),
      (input) => this.#insert(input, Buffer.alloc(chance.int(1, MOST_INSERTED_BYTES), chance.int(0, 255))),
      (input) => this.#remove(input),
      (input) => this.#repeat(input),
      ...(options.tokens.length === 0
        ? []
        : [
            (input: Buffer) => this.#insert(input, chance.pick(options.tokens)),
            (input: Buffer) => this.#overwrite(input, chance.pick(options.tokens)),
          ]),
    ];
  }

  /** A new input made of `parent`, and now and then of parts of `other`. Both stay as they are. */
  mutate(parent: Uint8Array, other: Uint8Array): Buffer {
    const chance = this.#chance;
    let input: Buffer = Buffer.from(parent);
    if (chance.odds(0.15)) input = this.#splice(input, Buffer.from(other));
    const { framing, maxBytes } = this.#options;
    for (let steps = chance.int(1, MOST_STEPS); steps > 0; steps--) {
      if (framing !== undefined && chance.odds(0.6)) input = this.#inRecords(input, framing);
      else input = chance.pick(this.#mutations)(input);
    }
    return input.length > maxBytes ? input.subarray(0, maxBytes) : input;
  }

  /** Changes one record and makes its length right, or records as a whole. */
  #inRecords(input: Buffer, framing: Framing): Buffer {
    const chance = this.#chance;
    const records = framing.split(input);
    if (records.length === 0) return chance.pick(this.#mutations)(input);
    const at = chance.int(0, records.length - 1);
    const how = chance.int(0, 9);
    if (how === 0) records.splice(at, 1);
    else if (how === 1) records.splice(chance.int(0, records.length), 0, records[at]);
    else if (how === 2) records.splice(chance.int(0, records.length - 1), 0, ...records.splice(at, 1));
    else records[at] = framing.seal(chance.pick(this.#mutations)(Buffer.from(records[at])));
    return Buffer.concat(records);
  }

  #splice(input: Buffer, other: Buffer): Buffer {
    const chance = this.#chance;
    const { framing } = this.#options;
    if (framing === undefined || chance.odds(0.3)) {
      return Buffer.concat([
        input.subarray(0, chance.int(0, input.length)),
        other.subarray(chance.int(0, other.length)),
      ]);
    }
    const [ours, theirs] = [framing.split(input), framing.split(other)];
    return Buffer.concat([...ours.slice(0, chance.int(0, ours.length)), ...theirs.slice(chance.int(0, theirs.length))]);
  }

  #flipBit(input: Buffer): Buffer {
    if (input.length > 0) input[this.#place(input)] ^= 1 << this.#chance.int(0, 7);
    return input;
  }

  #setByte(input: Buffer): Buffer {
    if (input.length > 0) input[this.#place(input)] = this.#chance.int(0, 255);
    return input;
  }

  #addToByte(input: Buffer): Buffer {
    if (input.length > 0) input[this.#place(input)] += this.#chance.pick([1, -1, 2, -2, 16, -16]);
    return input;
  }

  /** An edge as a number of 1, 2, 3, 4 or 8 octets, either end first. */
  #writeEdge(input: Buffer): Buffer {
    const chance = this.#chance;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(chance.pick(EDGES)));
    const number = Buffer.from(bytes.subarray(8 - chance.pick([1, 2, 3, 4, 4, 8])));
    return this.#overwrite(input, chance.odds(0.3) ? number.reverse() : number);
  }

  /** An edge in groups of 7 bits, as protobuf and HPACK write numbers; sometimes longer than needed. */
  #writeVarint(input: Buffer): Buffer {
    const chance = this.#chance;
    const bytes: number[] = [];
    let rest = chance.pick(EDGES);
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
    if (chance.odds(0.2)) {
      bytes[bytes.length - 1] += 128;
      for (let more = chance.int(0, 6); more > 0; more--) bytes.push(128);
      bytes.push(0);
    }
    const number = Uint8Array.from(bytes);
    return chance.odds(0.5) ? this.#insert(input, number) : this.#overwrite(input, number);
  }

  #insert(input: Buffer, bytes: Uint8Array): Buffer {
    const at = this.#chance.int(0, input.length);
    return Buffer.concat([input.subarray(0, at), bytes, input.subarray(at)]);
  }

  #overwrite(input: Buffer, bytes: Uint8Array): Buffer {
    const at = this.#chance.int(0, input.length);
    return Buffer.concat([input.subarray(0, at), bytes, input.subarray(at + bytes.length)]);
  }

  #remove(input: Buffer): Buffer {
    if (input.length === 0) return input;
    const at = this.#place(input);
    const count = this.#chance.odds(0.5) ? this.#chance.int(1, 8) : this.#chance.int(1, input.length);
    return Buffer.concat([input.subarray(0, at), input.subarray(at + count)]);
  }

  #repeat(input: Buffer): Buffer {
    if (input.length === 0) return input;
    const at = this.#place(input);
    const piece = input.subarray(at, at + this.#chance.int(1, MOST_INSERTED_BYTES));
    const copies = Array.from({ length: this.#chance.odds(0.8) ? 1 : this.#chance.int(2, 40) }, () => piece);
    return Buffer.concat([input.subarray(0, at), ...copies, input.subarray(at)]);
  }

  #place(input: Buffer): number {
    return this.#chance.int(0, input.length - 1);
  }
}
