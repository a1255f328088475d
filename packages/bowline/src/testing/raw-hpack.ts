/** Header fields in order, names and values by pairs. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** RFC 7541 appendix A, indexes 1 to 61: a name, then its value behind a space. */
const STATIC_TABLE = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .split("\n")
  .map((line): readonly [string, string] => {
    const space = line.indexOf(" ");
    return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
  });

/**
 * RFC 7541 appendix B: the length of each symbol's code, `a` = 5 bits to `z` = 30. The code is canonical (codes of one
 * length are consecutive in the order of their symbols), so the lengths say all.
 */
const HUFFMAN_LENGTHS =
  "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbba" +
  "bcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwww" +
  "ptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz";

/** Length 5 to 30 of codes → the first code of that length and the symbols that have one. */
const HUFFMAN = huffmanByLength();

function huffmanByLength(): { first: number; symbols: number[] }[] {
  const table = Array.from({ length: 31 }, () => ({ first: 0, symbols: [] as number[] }));
  for (let symbol = 0; symbol < HUFFMAN_LENGTHS.length; symbol++) {
    table[HUFFMAN_LENGTHS.charCodeAt(symbol) - 92].symbols.push(symbol);
  }
  for (let length = 1; length <= 30; length++) {
    const shorter = table[length - 1];
    table[length].first = (shorter.first + shorter.symbols.length) * 2;
  }
  return table;
}

/**
 * Encodes fields as literals without indexing, names spelled out, no Huffman code (RFC 7541 section 6.2.2): any decoder
 * takes it, and it changes no table. Values are latin1.
 */
export function encodeLiterals(fields: HeaderList): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), plainString(name), plainString(value)]));
}

function plainString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([prefixedInteger(bytes.length, 7), bytes]);
}

function prefixedInteger(value: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** A small decoder of header blocks with its own dynamic table. Throws an Error that says what is malformed. */
export class RawHpackDecoder {
  /** Newest first. */
  readonly #dynamicTable: (readonly [string, string])[] = [];
  #maxBytes = 4096;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  /** The fields of one whole block. */
  decode(block: Buffer): [string, string][] {
    this.#block = block;
    this.#at = 0;
    const fields: [string, string][] = [];
    while (this.#at < block.length) {
      const kind = block[this.#at];
      if (kind >= 0x80) fields.push([...this.#entry(this.#integer(7))]);
      else if (kind >= 0x40) fields.push(this.#remember(this.#literal(6)));
      else if (kind >= 0x20) this.#resize(this.#integer(5));
      else fields.push(this.#literal(4));
    }
    return fields;
  }

  #literal(prefixBits: number): [string, string] {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index)[0];
    return [name, this.#string()];
  }

  #remember(field: [string, string]): [string, string] {
    this.#dynamicTable.unshift(field);
    this.#resize(this.#maxBytes);
    return field;
  }

  /** RFC 7541 section 4: the oldest leave until the rest fits; an entry counts 32 bytes beside its text. */
  #resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    let bytes = 0;
    const fits = this.#dynamicTable.findIndex(([name, value]) => {
      bytes += name.length + value.length + 32;
      return bytes > maxBytes;
    });
    if (fits >= 0) this.#dynamicTable.length = fits;
  }

  #entry(index: number): readonly [string, string] {
    const entry = index <= 61 ? STATIC_TABLE[index - 1] : this.#dynamicTable[index - 62];
    if (entry === undefined) throw new Error(`header block: no table entry ${index}`);
    return entry;
  }

  #integer(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    const isHuffman = this.#block[this.#at] >= 0x80;
    const length = this.#integer(7);
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new Error("header block: a string goes beyond the end");
    this.#at += length;
    return (isHuffman ? fromHuffman(bytes) : bytes).toString("latin1");
  }

  #byte(): number {
    if (this.#at >= this.#block.length) throw new Error("header block: it ends inside a field");
    return this.#block[this.#at++];
  }
}

function fromHuffman(bytes: Buffer): Buffer {
  const symbols: number[] = [];
  let code = 0;
  let length = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    code = code * 2 + ((bytes[bit >> 3] >> (7 - (bit & 7))) & 1);
    length++;
    const symbol = HUFFMAN[length]?.symbols[code - HUFFMAN[length].first];
    if (symbol === undefined) continue;
    if (symbol === 256) throw new Error("header block: Huffman code holds an end of string");
    symbols.push(symbol);
    code = 0;
    length = 0;
  }
  if (length > 7 || code !== 2 ** length - 1) throw new Error("header block: Huffman code is not padded with ones");
  return Buffer.from(symbols);
}
