import { once } from "node:events";
import { connect, type Socket } from "node:net";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;

/** A call as bytes need it. */
export interface RawCall {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly message: Uint8Array;
  /** `grpc-timeout` as it stands in the header: `60S`. */
  readonly timeout?: string;
}

/**
 * An HTTP/2 connection that can do as much as a measurement of servers' memory needs: send calls, and see them end. It is the same for all
 * servers, and small enough for thousands in one process.
 */
export class RawConnection {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  readonly #open = new Map<number, () => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#read(chunk));
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0, Buffer.alloc(0))]));
  }

  /** Connects to `host:port`. */
  static async open(address: string): Promise<RawConnection> {
    const [host, port] = address.split(":");
    const socket = connect(Number(port), host);
    await once(socket, "connect");
    socket.on("error", () => socket.destroy());
    return new RawConnection(socket);
  }

  /** Sends a call; the promise resolves when its stream ends in order. */
  call({ path, message, timeout }: RawCall): Promise<void> {
    const id = this.#nextId;
    this.#nextId += 2;
    const fields = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "localhost"],
      ["te", "trailers"],
      ["content-type", "application/grpc"],
      ...(timeout === undefined ? [] : [["grpc-timeout", timeout]]),
    ];
    const block = Buffer.concat(fields.map(([name, value]) => literal(name, value)));
    const body = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    this.#socket.write(Buffer.concat([frame(HEADERS, END_HEADERS, id, block), frame(DATA, END_STREAM, id, body)]));
    return new Promise((resolve) => this.#open.set(id, resolve));
  }

  /** Ends it at once. */
  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let data = Buffer.concat([this.#rest, chunk]);
    while (data.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + data.readUIntBE(0, 3);
      if (data.length < end) break;
      this.#take(data[3], data[4], data.readUInt32BE(5), data.subarray(FRAME_HEADER_BYTES, end));
      data = data.subarray(end);
    }
    // A copy: no connection must hold on to a large chunk.
    this.#rest = Buffer.from(data);
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === SETTINGS && (flags & ACK) === 0) this.#socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    if (type === PING && (flags & ACK) === 0) this.#socket.write(frame(PING, ACK, 0, payload));
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.#open.get(id)?.();
  }
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, payload]);
}

/** A field as a literal without indexing and a name of its own (RFC 7541 §6.2.2); both are shorter than 127 bytes. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}
