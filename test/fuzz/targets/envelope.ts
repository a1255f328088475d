import type { Codec } from "../../../packages/bowline/src/codec/codec.ts";
import { type Compression, findCompression, identity } from "../../../packages/bowline/src/codec/compression.ts";
import { MessageReader, type ReaderStream } from "../../../packages/bowline/src/grpc/message-reader.ts";
import {
  FRAMING_OK,
  FRAMING_TOO_LARGE,
  type FramingResult,
  MessageAssembler,
  maxCompressedBytes,
} from "../../../packages/bowline/src/grpc/wire/message-framing.ts";
import { Http2Stream } from "../../../packages/bowline/src/http2/stream.ts";
import { RpcError } from "../../../packages/bowline/src/rpc/rpc-error.ts";
import { type Framing, type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { cut } from "../oracles/http2-framing.ts";

const MAX_MESSAGE_BYTES = 600;
const PREFIX_BYTES = 5;
const NAMES = ["gzip", "deflate", "br", "zstd"];

/** Messages behind their prefix of five octets. */
const envelopes: Framing = {
  split(input) {
    const records: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const length = at + PREFIX_BYTES <= input.length ? input.readUInt32BE(at + 1) : input.length;
      const to = Math.min(input.length, at + PREFIX_BYTES + length);
      records.push(input.subarray(at, to));
      at = to;
    }
    return records;
  },
  seal(record) {
    if (record.length >= PREFIX_BYTES) record.writeUInt32BE(record.length - PREFIX_BYTES, 1);
    return record;
  },
};

const hexCodec: Codec<string> = {
  name: "hex",
  measure: (text) => text.length / 2,
  write: (text, target, at) => at + target.write(text, at, "hex"),
  read: (source, start, end) => source.toString("hex", start, end),
};

class FuzzStream extends Http2Stream implements ReaderStream {
  error: RpcError | undefined;
  credit(): void {
    if (this.heldBytes < 0) fault(`holds ${this.heldBytes} octets`);
  }
  abandoned(): void {}
  unreadable(error: RpcError): void {
    if (this.error !== undefined) fault("told of two errors");
    this.error = error;
  }
}

/** What a direction came to: its messages, and the reason of the error that ended it. */
interface Heard {
  readonly messages: readonly string[];
  readonly error: string | undefined;
}

async function inflated(compression: Compression, bytes: Buffer): Promise<string | RpcError> {
  try {
    return (await compression.decompress(bytes, MAX_MESSAGE_BYTES, true)).toString("hex");
  } catch (error) {
    if (!RpcError.is(error) || (error.reason !== "codec" && error.reason !== "limit")) throw error;
    return error;
  }
}

/** The rules of PROTOCOL-HTTP2.md, "Length-Prefixed-Message", read from the whole input. */
async function expected(input: Buffer, compression: Compression): Promise<Heard> {
  const messages: string[] = [];
  for (let at = 0; at < input.length; ) {
    if (input.length - at < PREFIX_BYTES) return { messages, error: "protocol" };
    const flag = input[at];
    const length = input.readUInt32BE(at + 1);
    if (flag > 1) return { messages, error: "protocol" };
    if (length > (flag === 1 ? maxCompressedBytes(MAX_MESSAGE_BYTES) : MAX_MESSAGE_BYTES))
      return { messages, error: "limit" };
    at += PREFIX_BYTES + length;
    if (at > input.length) return { messages, error: "protocol" };
    const body = Buffer.from(input.subarray(at - length, at));
    const message = flag === 1 ? await inflated(compression, body) : body.toString("hex");
    if (message instanceof RpcError) return { messages, error: message.reason };
    messages.push(message);
  }
  return { messages, error: undefined };
}

async function read(chunks: readonly Buffer[], compression: Compression, isEager: boolean): Promise<Heard> {
  const stream = new FuzzStream();
  const reader = new MessageReader(stream, hexCodec, MAX_MESSAGE_BYTES, compression);
  const feed = (): void => {
    for (const chunk of chunks) {
      const lent = Buffer.concat([Buffer.alloc(2), chunk, Buffer.alloc(2)]);
      reader.push(lent, 2, 2 + chunk.length);
      lent.fill(0xdb);
    }
    reader.end(null);
  };
  const messages: string[] = [];
  // An eager reader waits before anything comes; the other finds all there.
  const first = isEager ? reader.next() : undefined;
  feed();
  try {
    for (let next = await (first ?? reader.next()); next.done !== true; next = await reader.next())
      messages.push(next.value);
  } catch (error) {
    if (!RpcError.is(error)) throw error;
    return { messages, error: error.reason };
  }
  return { messages, error: undefined };
}

/** The reader of calls without streaming: only framing is judged here. */
function assemble(chunks: readonly Buffer[], right: Heard): void {
  const bodies: string[] = [];
  const assembler = new MessageAssembler(MAX_MESSAGE_BYTES);
  const sink = {
    message: (bytes: Buffer, start: number, end: number) => void bodies.push(bytes.toString("hex", start, end)),
  };
  let result: FramingResult = FRAMING_OK;
  for (const chunk of chunks) {
    if (result === FRAMING_OK) result = assembler.push(Buffer.from(chunk), 0, chunk.length, sink);
  }
  if (bodies.length < right.messages.length) fault(`assembled ${bodies.length} of ${right.messages.length} messages`);
  if (result === FRAMING_OK && !assembler.isPartial && right.error === "protocol")
    fault("assembled what is no message");
  if (result === FRAMING_TOO_LARGE && right.error === undefined) fault("called a message too large");
}

function seeds(): Buffer[] {
  const gather = (...parts: readonly (readonly [number, Uint8Array])[]): Buffer =>
    Buffer.concat(parts.map(([flag, body]) => envelopes.seal(Buffer.concat([Buffer.of(flag, 0, 0, 0, 0), body]))));
  const text = Buffer.from("message ".repeat(8));
  return NAMES.map((name, index) => {
    const compressed = (findCompression(name) ?? identity).compress(text) as Buffer;
    return Buffer.concat([
      Buffer.of(index),
      gather([0, text], [1, compressed], [0, Buffer.alloc(0)], [1, Buffer.alloc(0)]),
    ]);
  });
}

/** Messages of a stream, plain and compressed, in chunks of several sizes and to readers early and late. */
export function envelopeTarget(): FuzzTarget {
  return {
    name: "envelope",
    what: "gRPC messages in chunks, with compression, against the rules read from the whole",
    covers: [
      "grpc/message-reader.ts",
      "grpc/wire/message-framing.ts",
      "codec/compression.ts",
      "grpc/wire/framing-errors.ts",
    ],
    maxBytes: 2048,
    tokens: ["0000000000", "0100000000", "0000000258", "0000000259", "00ffffffff", "1f8b08", "28b52ffd", "789c"].map(
      (hex) => Buffer.from(hex, "hex"),
    ),
    seeds: seeds(),
    framing: {
      split: (input) => [input.subarray(0, 1), ...envelopes.split(input.subarray(1))],
      seal: (record) => (record.length < PREFIX_BYTES ? record : envelopes.seal(record)),
    },
    async run(input) {
      const compression = findCompression(NAMES[(input[0] ?? 0) % NAMES.length]) ?? identity;
      const body = input.subarray(1);
      const right = await expected(body, compression);
      const first = body.length > 0 ? body[0] : 0;
      for (const pattern of [0, first + 1]) {
        const chunks = cut(body, pattern);
        assemble(chunks, right);
        for (const isEager of [true, false]) {
          const heard = await read(chunks, compression, isEager);
          if (heard.error !== right.error)
            fault(`ended with ${heard.error} where ${right.error} is right, ${isEager ? "early" : "late"} reader`);
          // A late reader hears at once of a limit that is passed behind messages it has not read.
          const isSame = heard.messages.join() === right.messages.join();
          if (!isSame && right.error === undefined)
            fault(`read ${heard.messages.join()} where ${right.messages.join()} was sent`);
        }
      }
    },
  };
}
