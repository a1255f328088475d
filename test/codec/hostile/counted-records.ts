/** Writes a number in always the same number of bytes. */
export interface Counter {
  /** In bytes. */
  readonly width: number;
  /** Writes it from `at` on. */
  write(out: Buffer, at: number, index: number): void;
}

/** Four characters. */
export const TEXT: Counter = {
  width: 4,
  write: (out, at, index) => {
    for (let i = 0; i < 4; i++) out[at + i] = 48 + ((index >> (6 * i)) & 63);
  },
};

/** A varint of up to 28 bits, with zeros behind what is shorter. */
export const NUMBER: Counter = { width: 4, write: (out, at, index) => writeDigits(out, at, 4, index) };

/** The same, shifted by three bytes of a varint: numbers that lie far apart. */
export const SPARSE: Counter = {
  width: 7,
  write: (out, at, index) => {
    out.fill(0x80, at, at + 3);
    writeDigits(out, at + 3, 4, index);
  },
};

/** 32 bits, of which the lower half is zero. */
export const HIGH_HALF: Counter = {
  width: 5,
  write: (out, at, index) => {
    out.fill(0x80, at, at + 2);
    writeDigits(out, at + 2, 3, (index << 2) & 0x3ffff);
  },
};

function writeDigits(out: Buffer, at: number, width: number, value: number): void {
  for (let i = 0; i < width; i++) out[at + i] = ((value >> (7 * i)) & 127) | (i < width - 1 ? 128 : 0);
}

/** About so many bytes of records that differ in their counter only; `record` is given what stands for it. */
export function countedRecords(bytes: number, counter: Counter, record: (counter: Buffer) => Buffer): Buffer {
  // A byte that stands nowhere else in a record marks the place.
  const template = record(Buffer.alloc(counter.width, 0xfe));
  const place = template.indexOf(0xfe);
  const count = Math.floor(bytes / template.length);
  const result = Buffer.alloc(count * template.length, template);
  for (let index = 0; index < count; index++) counter.write(result, index * template.length + place, index);
  return result;
}
