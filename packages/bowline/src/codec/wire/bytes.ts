import { markAsUntransferable } from "node:worker_threads";

/** An array of up to 64 bytes lies in V8's own heap. A larger one has memory of its own, which costs 0.3 µs. */
const MAX_HEAP_BYTES = 64;

/** Small pieces are cut from slabs, as Buffer.from does: a fresh buffer each costs twice what decoding does. */
const SLAB_BYTES = 16 * 1024;
const MAX_BYTES_IN_SLAB = SLAB_BYTES >> 3;
let slab = new ArrayBuffer(0);
let slabUsed = 0;

/** Memory in which several messages have pieces: who transfers his to another thread would take those of all others along. */
export function keepInThread(memory: ArrayBufferLike): void {
  markAsUntransferable(memory);
}

/** A copy of `source[start, end)` that nobody else writes to. */
export function copyBytes(source: Buffer, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length <= MAX_HEAP_BYTES) {
    const copy = new Uint8Array(length);
    for (let i = 0; i < length; i++) copy[i] = source[start + i];
    return copy;
  }
  if (length > MAX_BYTES_IN_SLAB) return new Uint8Array(source.subarray(start, end));
  if (slabUsed + length > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    keepInThread(slab);
    slabUsed = 0;
  }
  const copy = new Uint8Array(slab, slabUsed, length);
  slabUsed += length;
  copy.set(source.subarray(start, end));
  return copy;
}

/** The bytes themselves, as a plain Uint8Array: slices of a Buffer would be Buffers. */
export function viewBytes(source: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(source.buffer, source.byteOffset + start, end - start);
}
