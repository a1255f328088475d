import { type OnReadOpts, Socket } from "node:net";
import { markAsUntransferable } from "node:worker_threads";

/** One read fills at most this much: what libuv asks for, too. */
const READ_BUFFER_BYTES = 65_536;

/** Takes what was read: `count` bytes at the start of `buffer`, which are its own until it returns. False: no more until `resume`. */
export type Receive = (count: number, buffer: Buffer) => boolean;

/** Where Node keeps, on a socket of its own making, what `sharedReads` gives. */
interface Places {
  readonly buffer: PropertyKey;
  readonly callback: PropertyKey;
}

/** The handle below a socket of Node, plain or TLS. */
interface Handle {
  useUserBuffer?(buffer: Buffer): void;
}

let readBuffer: Buffer | undefined;
let places: Places | null | undefined;

/**
 * For sockets that are made here: all of them read into one buffer of the process. Who is told hands the bytes on before the next read,
 * or copies them.
 *
 * Otherwise Node takes 64 KiB for each read and copies what came out of them. (Measured with small messages: 4 to 13 % more calls a
 * second, docs/decisions/0022.)
 */
export function sharedReads(receive: Receive): OnReadOpts {
  readBuffer ??= untransferable(Buffer.allocUnsafeSlow(READ_BUFFER_BYTES));
  return { buffer: readBuffer, callback: (count, buffer) => receive(count, buffer as Buffer) };
}

/**
 * The same for a socket that Node has accepted: from now on it gives what it reads to `receive`, and no `data` events. Nothing that was
 * read may still wait in it. False, and nothing is changed, where that can't be had.
 *
 * Node has the option for sockets that are made to connect, but no way to give it to those that a server accepts. So what Node does in the
 * constructor is done here afterwards. Where it keeps buffer and callback is looked up in a socket that was made with them: a Node that
 * keeps them differently, or something else in its place, reads as it always does.
 */
export function shareReads(socket: Socket, receive: Receive): boolean {
  places ??= findPlaces();
  const { _handle: handle } = socket as { readonly _handle?: Handle | null };
  if (places === null || typeof handle?.useUserBuffer !== "function") return false;
  if (Reflect.get(socket, places.buffer) !== null || Reflect.get(socket, places.callback) !== null) return false;
  const { buffer, callback } = sharedReads(receive);
  Reflect.set(socket, places.buffer, buffer);
  Reflect.set(socket, places.callback, callback);
  handle.useUserBuffer(buffer as Buffer);
  return true;
}

/**
 * Users are shown it by `sharedBytes`: who gave it to a worker would take it from all connections. (`ArrayBuffer.prototype.transfer` does so
 * all the same.)
 */
function untransferable(buffer: Buffer): Buffer {
  markAsUntransferable(buffer.buffer);
  return buffer;
}

function findPlaces(): Places | null {
  const onread = { buffer: Buffer.alloc(1), callback: () => true };
  const socket = new Socket({ onread });
  const keys = Reflect.ownKeys(socket);
  socket.destroy();
  const [buffer, ...otherBuffers] = keys.filter((key) => Reflect.get(socket, key) === onread.buffer);
  const [callback, ...otherCallbacks] = keys.filter((key) => Reflect.get(socket, key) === onread.callback);
  if (buffer === undefined || callback === undefined || otherBuffers.length + otherCallbacks.length > 0) return null;
  return { buffer, callback };
}
