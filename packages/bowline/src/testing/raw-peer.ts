import type { Socket } from "node:net";
import type { Link } from "../http2/link.ts";
import { type Clock, systemClock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { KeepAlive } from "./keep-alive.ts";
import { type RawFrame, RawFrameParser } from "./raw-frame-parser.ts";
import {
  PREFACE,
  RawFlag,
  type RawFrameName,
  type RawHeadersOptions,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "./raw-frames.ts";
import type { HeaderList } from "./raw-hpack.ts";

/** How a raw peer behaves. */
export interface RawPeerOptions {
  /** A `server` takes the first 24 bytes that arrive for the preface, and breaks when they are something else. */
  readonly role: "client" | "server";
  /** Acknowledges SETTINGS and PING by itself, once it has sent its own first frame. Default false. */
  readonly acknowledges?: boolean;
  /** Ends its side when the other ends its own. Default true. */
  readonly endsWithOther?: boolean;
  /** How long `expect` waits, in ms of `clock`. Default 2000. */
  readonly timeoutMs?: number;
  /** Default: real time, also in a test in virtual time; `expect` keeps the process alive meanwhile. */
  readonly clock?: Clock;
}

const SPECS: OptionSpecs = {
  role: { kind: "one-of", values: ["client", "server"] },
  acknowledges: { kind: "boolean" },
  endsWithOther: { kind: "boolean" },
  timeoutMs: { kind: "number", min: 0, max: Number.POSITIVE_INFINITY, unit: "ms" },
  clock: { kind: "object", methods: ["setTimeout"], example: "a VirtualClock" },
};

/** @throws TypeError or RangeError naming the option, its value and what is allowed */
export function checkRawPeerOptions(options: Partial<RawPeerOptions>): void {
  checkOptions("RawPeer options", options, SPECS);
}

interface Waiting {
  readonly type: RawFrameName;
  readonly matches: (frame: RawFrame) => boolean;
  readonly resolve: (frame: RawFrame) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A peer that says over a link or socket what a test tells it to, legal HTTP/2 or not, and writes down what it hears.
 *
 * It shares no code with the product's own HTTP/2, so that one's misunderstanding is not the other's. It keeps no
 * windows and no stream states.
 */
export class RawPeer {
  /** All frames that arrived, in order. */
  readonly received: RawFrame[] = [];
  /** Settles when the link is gone: with its error, or undefined when it was closed in order. */
  readonly closed: Promise<Error | undefined>;
  /** True when the other end will send nothing more. */
  hasOtherEnded: boolean = false;
  /** True when the link is gone: `closed` has settled. */
  isClosed: boolean = false;
  readonly #options: RawPeerOptions;
  readonly #write: (bytes: Buffer) => void;
  readonly #end: () => void;
  readonly #destroy: () => void;
  readonly #parser = new RawFrameParser();
  /** Frames that no `expect` has taken. */
  readonly #untaken: RawFrame[] = [];
  readonly #waiting = new Set<Waiting>();
  #resolveClosed: (error: Error | undefined) => void = () => {};
  #bytes: Buffer = Buffer.alloc(0);
  #prefaceLeft: number;
  /** Why no more frames will come. */
  #over: Error | undefined;
  #pings = 0;
  #sentBytes = 0;
  /** Acknowledgements that would come before this side's first frame. */
  #heldBack: Buffer[] = [];
  readonly #keepAlive: KeepAlive = new KeepAlive();

  /** Starts reading from `transport`, which it owns from here on. Throws a TypeError or a RangeError for an option that can't be. */
  constructor(transport: Link | Socket, options: RawPeerOptions) {
    checkRawPeerOptions(options);
    this.#options = options;
    this.#prefaceLeft = options.role === "server" ? PREFACE.length : 0;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#write = (bytes) => void transport.write(bytes);
    this.#end = () => void transport.end();
    this.#destroy = () => void transport.destroy();
    if ("start" in transport) this.#readLink(transport);
    else this.#readSocket(transport);
  }

  /** Sends bytes as they are, several pieces in one write. */
  send(...pieces: readonly Uint8Array[]): this {
    const bytes = Buffer.concat(pieces);
    this.#sentBytes += bytes.length;
    this.#write(bytes);
    if (this.#hasBegun && this.#heldBack.length > 0) this.send(...this.#heldBack.splice(0));
    return this;
  }

  /** Sends the client's preface, without SETTINGS. */
  preface(): this {
    return this.send(PREFACE);
  }

  /** Sends a frame, see {@link rawFrame}. */
  frame(type: RawFrameName | number, flags: number, streamId: number, payload?: Uint8Array, length?: number): this {
    return this.send(rawFrame(type, flags, streamId, payload, length));
  }

  /** SETTINGS with pairs of {@link RawSetting} and value. */
  settings(pairs?: readonly (readonly [id: number, value: number])[]): this {
    return this.send(rawSettings(pairs));
  }

  /** The acknowledgement of SETTINGS. */
  settingsAck(): this {
    return this.frame("SETTINGS", RawFlag.ACK, 0);
  }

  /** HEADERS with literal fields or a block of bytes, see {@link RawHeadersOptions}. */
  headers(streamId: number, fields: HeaderList | Uint8Array, options?: RawHeadersOptions): this {
    return this.send(rawHeaders(streamId, fields, options));
  }

  /** CONTINUATION; `endHeaders` default true. */
  continuation(streamId: number, block: HeaderList | Uint8Array, endHeaders?: boolean): this {
    return this.send(rawContinuation(streamId, block, endHeaders));
  }

  /** DATA; gRPC messages want {@link grpcMessage} around their bytes. */
  data(streamId: number, bytes: Uint8Array, options?: { readonly end?: boolean; readonly padding?: number }): this {
    return this.send(rawData(streamId, bytes, options));
  }

  /** RST_STREAM. */
  rst(streamId: number, code: number): this {
    return this.send(rawReset(streamId, code));
  }

  /** PING with 8 bytes (default zeros), or its acknowledgement. */
  ping(opaque?: Uint8Array, isAck?: boolean): this {
    return this.send(rawPing(opaque, isAck));
  }

  /** GOAWAY. */
  goaway(lastStreamId: number, code: number, debug?: string): this {
    return this.send(rawGoaway(lastStreamId, code, debug));
  }

  /** WINDOW_UPDATE; stream 0 = the connection. */
  windowUpdate(streamId: number, increment: number): this {
    return this.send(rawWindowUpdate(streamId, increment));
  }

  /** Ends this side. */
  end(): void {
    this.#end();
  }

  /** Drops the link. */
  destroy(): void {
    this.#destroy();
  }

  /**
   * The next frame of a type that no other `expect` was given, optionally with more conditions: from those that arrived
   * already, else the next to come. Other frames stay for later calls.
   *
   * Rejects, with a list of what did arrive, when the link closes or ends first, when `matches` throws, or after `timeoutMs`.
   */
  expect(type: RawFrameName, matches: (frame: RawFrame) => boolean = () => true): Promise<RawFrame> {
    let index: number;
    try {
      index = this.#untaken.findIndex((frame) => frame.type === type && matches(frame));
    } catch (error) {
      return Promise.reject(this.#disappointed(type, asError(error)));
    }
    if (index >= 0) return Promise.resolve(this.#untaken.splice(index, 1)[0]);
    if (this.#over !== undefined) return Promise.reject(this.#disappointed(type, this.#over));
    const promise = this.#next(type, matches);
    // A script may look at its promise later than the link fails.
    promise.catch(() => {});
    return promise;
  }

  #next(type: RawFrameName, matches: (frame: RawFrame) => boolean): Promise<RawFrame> {
    const { timeoutMs = 2000, clock = systemClock } = this.#options;
    if (clock === systemClock) this.#keepAlive.hold();
    return new Promise<RawFrame>((resolve, reject) => {
      const waiting: Waiting = {
        type,
        matches,
        resolve: (frame) => {
          stop();
          resolve(frame);
        },
        reject: (cause) => {
          stop();
          reject(this.#disappointed(type, cause));
        },
      };
      const timer = clock.setTimeout(() => waiting.reject(new Error(`nothing within ${timeoutMs} ms`)), timeoutMs);
      const stop = (): void => {
        timer.cancel();
        this.#waiting.delete(waiting);
        if (clock === systemClock) this.#keepAlive.release();
      };
      this.#waiting.add(waiting);
    });
  }

  /**
   * Both sides' SETTINGS and their acknowledgements, the preface before them when this is a client.
   * Resolves with the other's first SETTINGS.
   */
  async handshake(pairs?: readonly (readonly [id: number, value: number])[]): Promise<RawFrame> {
    if (this.#options.role === "client") this.send(PREFACE, rawSettings(pairs));
    else this.settings(pairs);
    const theirs = await this.expect("SETTINGS", (frame) => !frame.isAck);
    if (!this.#options.acknowledges) this.settingsAck();
    await this.expect("SETTINGS", (frame) => frame.isAck);
    return theirs;
  }

  /** A PING and its answer: the other end has seen all that was sent before. */
  async roundTrip(): Promise<void> {
    const opaque = Buffer.alloc(8);
    opaque.writeUInt32BE(++this.#pings, 4);
    opaque.write("rtt", 0);
    this.ping(opaque);
    await this.expect("PING", (frame) => frame.isAck && frame.payload.equals(opaque));
  }

  #readLink(link: Link): void {
    link.start({
      linkData: (chunk) => this.#read(chunk),
      linkDrain: () => {},
      linkEnd: () => this.#otherEnded(),
      linkClosed: (error) => this.#gone(error),
    });
  }

  #readSocket(socket: Socket): void {
    let error: Error | undefined;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("end", () => this.#otherEnded());
    socket.on("error", (reason) => {
      error = reason;
    });
    socket.on("close", () => this.#gone(error));
  }

  #otherEnded(): void {
    this.hasOtherEnded = true;
    this.#giveUp(new Error("the other end has ended its side"));
    if (this.#options.endsWithOther !== false) this.#end();
  }

  #gone(error: Error | undefined): void {
    this.isClosed = true;
    this.#giveUp(error ?? new Error("the link was closed"));
    this.#resolveClosed(error);
  }

  #giveUp(reason: Error): void {
    this.#over ??= reason;
    for (const waiting of this.#waiting) waiting.reject(reason);
  }

  #disappointed(type: RawFrameName, cause: Error): Error {
    const heard = this.received.map((frame) => `${frame.type}(${frame.streamId})`).join(" ") || "nothing";
    return new Error(`expected ${type}: ${cause.message}; received so far: ${heard}`, { cause });
  }

  #read(chunk: Buffer): void {
    if (this.#over !== undefined) return;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#readPreface()) return;
    while (this.#bytes.length >= 9 && this.#over === undefined) {
      const end = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      const frame = this.#bytes.subarray(0, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#arrived(frame);
    }
  }

  #readPreface(): boolean {
    if (this.#prefaceLeft === 0) return true;
    if (this.#bytes.length < PREFACE.length) return false;
    const isPreface = this.#bytes.subarray(0, PREFACE.length).equals(PREFACE);
    if (!isPreface) {
      const start = JSON.stringify(this.#bytes.subarray(0, PREFACE.length).toString("latin1"));
      this.#giveUp(new Error(`the other end began with ${start} instead of the preface`));
      return false;
    }
    this.#prefaceLeft = 0;
    this.#bytes = this.#bytes.subarray(PREFACE.length);
    return true;
  }

  #arrived(bytes: Buffer): void {
    let frame: RawFrame;
    try {
      frame = this.#parser.parse(bytes);
    } catch (error) {
      this.#giveUp(new Error("the other end sent a frame that can't be read", { cause: error }));
      return;
    }
    this.received.push(frame);
    if (this.#options.acknowledges && !frame.isAck) {
      if (frame.type === "SETTINGS") this.#acknowledge(rawFrame("SETTINGS", RawFlag.ACK, 0));
      else if (frame.type === "PING") this.#acknowledge(rawPing(frame.payload, true));
    }
    for (const waiting of this.#waiting) {
      if (waiting.type !== frame.type || !this.#isWanted(waiting, frame)) continue;
      waiting.resolve(frame);
      return;
    }
    this.#untaken.push(frame);
  }

  /** The other end may speak first, and what either sends first is its SETTINGS (RFC 9113 §3.4), whenever the script comes to that. */
  #acknowledge(frame: Buffer): void {
    if (this.#hasBegun) this.send(frame);
    else this.#heldBack.push(frame);
  }

  get #hasBegun(): boolean {
    return this.#sentBytes > (this.#options.role === "client" ? PREFACE.length : 0);
  }

  /** A condition that throws is the mistake of who gave it, and costs no one else the frame. */
  #isWanted(waiting: Waiting, frame: RawFrame): boolean {
    try {
      return waiting.matches(frame);
    } catch (error) {
      waiting.reject(asError(error));
      return false;
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
