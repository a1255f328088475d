import { crc32 } from "node:zlib";

/** All that happens in a run, as one number, and as lines for people when they are asked for. */
export class Trace {
  /** Events so far. */
  events = 0;
  #hash = 0x811c9dc5;
  readonly #now: () => number;
  readonly #print: ((line: string) => void) | null;

  /** `print` takes a line for each event; null: only the hash is kept. */
  constructor(now: () => number, print: ((line: string) => void) | null) {
    this.#now = now;
    this.#print = print;
  }

  /** The hash of all events and their times; equal runs have equal hashes. */
  get hash(): string {
    return this.#hash.toString(16).padStart(8, "0");
  }

  /** Something that is told in words. */
  note(text: string): void {
    this.#mix(crc32(text));
    this.#end(text);
  }

  /** Something frequent, told in numbers: no text is made unless it is printed. */
  numbers(kind: string, subject: string, a: number, b: number, c: number): void {
    this.#mix(kind.charCodeAt(0));
    this.#mix(a);
    this.#mix(b);
    this.#mix(c);
    this.#end(this.#print === null ? "" : `${subject} ${kind} ${a} ${b} ${c}`);
  }

  #end(text: string): void {
    this.events++;
    this.#mix(Math.round(this.#now() * 1000));
    this.#print?.(`${this.#now().toFixed(3).padStart(10)} ${text}`);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193) >>> 0;
    this.#hash = (this.#hash ^ (this.#hash >>> 15)) >>> 0;
  }
}
