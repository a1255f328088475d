import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";
import { fault } from "../engine/fuzz-target.ts";
import { Http2Answers, type Http2Reading, type ReadStream } from "./http2-answers.ts";

/** Turns of the event loop in which octets in memory must have been answered. */
const MOST_TURNS = 5000;
const MANY = 1_000_000;

/** Node's own HTTP/2, nghttp2, as a server of which nothing is answered but what the protocol asks for. */
export class NodeHttp2Server {
  readonly #server: Http2Server;
  #streams: Map<number, ReadStream> = new Map();
  #session: { destroy(): void } | null = null;

  constructor() {
    // Bounds against floods are judged elsewhere.
    const limits = { maxSessionInvalidFrames: MANY, maxSessionRejectedStreams: MANY, maxOutstandingPings: MANY };
    const more = { maxHeaderListPairs: MANY, maxSettings: MANY, streamResetBurst: MANY, streamResetRate: MANY };
    this.#server = createServer({ ...limits, ...more, settings: { maxConcurrentStreams: MANY } });
    this.#server.on("session", (session) => {
      this.#session = session;
      session.on("error", () => {});
    });
    this.#server.on("sessionError", () => {});
    this.#server.on("stream", (stream, _headers, _flags, rawHeaders) =>
      this.#took(stream, rawHeaders as unknown as string[]),
    );
  }

  /** Reads octets that end with the PING of `ping`. */
  async read(bytes: Buffer, ping: Buffer): Promise<Http2Reading> {
    const answers = new Http2Answers(ping);
    let isOver = false;
    const link = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        answers.push(chunk);
        done();
      },
      final: (done) => {
        isOver = true;
        done();
      },
      destroy: (_error, done) => {
        isOver = true;
        done(null);
      },
    });
    link.on("error", () => {});
    this.#streams = new Map();
    this.#server.emit("connection", link);
    link.push(bytes);
    for (let turns = 0; !isOver && !answers.isAnswered && answers.errorCode === null; turns++) {
      if (turns === MOST_TURNS) fault("node:http2 neither answers nor closes");
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Data are handed on by streams of their own, a turn later.
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    const { errorCode, resets } = answers;
    const reading = { isAlive: !isOver && errorCode === null, errorCode, streams: this.#streams, resets };
    this.#session?.destroy();
    link.destroy();
    return reading;
  }

  #took(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    const fields = Array.from(
      { length: rawHeaders.length >> 1 },
      (_, i) => [rawHeaders[2 * i], rawHeaders[2 * i + 1]] as const,
    );
    const read: ReadStream = { fields, data: "" };
    this.#streams.set(stream.id as number, read);
    stream.on("data", (chunk: Buffer) => {
      read.data += chunk.toString("latin1");
    });
    stream.on("error", () => {});
  }
}
