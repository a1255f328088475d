import type { Link, LinkHandler, LinkPeer } from "bowline/testing";
import type { Trace } from "../engine/trace.ts";
import { FlowAccount } from "./flow-account.ts";
import { FrameScanner, GOAWAY, HEADERS, RST_STREAM, type ScannedFrame } from "./frame-scanner.ts";

/** Whom a tapped link tells of what passes. */
export interface TapOwner {
  readonly trace: Trace;
  /** Something broke a rule of RFC 9113. */
  violation(text: string): void;
  /** So many octets in all have reached this end; called before the end sees them. */
  arrived(link: TappedLink, octets: number): void;
  /** Changes what arrives: for planted faults. */
  tamper(chunk: Buffer): Buffer;
}

/** Error codes that a healthy stack may end a connection with: none, CANCEL, and SETTINGS_TIMEOUT for a peer that hangs. */
const HARMLESS_GOAWAYS: readonly number[] = [0, 4, 8];
/** PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR: the peer's fault, and the peer is ours. */
const GRAVE_RESETS: readonly number[] = [1, 3, 6, 9];

/** One end of a connection, watched: frames are found in what it sends and gets, and frames of others can be put in. */
export class TappedLink implements Link {
  readonly peer: LinkPeer;
  readonly flow: FlowAccount;
  /** For people: which end of which connection. */
  readonly name: string;
  /** The highest stream whose HEADERS have passed here, either way. */
  lastStreamId = 0;
  /** The stream of the frame that passed last, either way. */
  currentStreamId = 0;
  /** Frames of others were put in: what the ends say of each other's mistakes counts no more. */
  isTamperedWith = false;
  isClosed = false;
  /** What arrives from now on is lost. */
  isDeaf = false;
  readonly #inner: Link;
  readonly #owner: TapOwner;
  readonly #sent: FrameScanner;
  readonly #got: FrameScanner;
  #arrived = 0;
  #injected: (() => Buffer) | null = null;

  constructor(inner: Link, name: string, isClient: boolean, owner: TapOwner) {
    this.peer = inner.peer;
    this.name = name;
    this.#inner = inner;
    this.#owner = owner;
    this.flow = new FlowAccount((text) => owner.violation(`${name} ${text}`));
    this.#sent = new FrameScanner(isClient, (frame) => this.#frameSent(frame));
    this.#got = new FrameScanner(!isClient, (frame) => this.#frameArrived(frame));
  }

  get isIdle(): boolean {
    return this.#inner.isIdle;
  }

  /** Puts a frame into what arrives here, behind the frame that is under way; made when its place has come. */
  inject(frame: () => Buffer): void {
    this.isTamperedWith = true;
    this.#injected = frame;
  }

  start(handler: LinkHandler): void {
    this.#inner.start({
      linkData: (chunk) => this.#deliver(chunk, handler),
      linkDrain: () => handler.linkDrain(),
      linkEnd: () => handler.linkEnd(),
      linkClosed: (error) => {
        this.isClosed = true;
        this.#owner.trace.note(`${this.name} closed ${(error as { code?: string } | undefined)?.code ?? ""}`);
        handler.linkClosed(error);
      },
    });
  }

  write(chunk: Uint8Array): boolean {
    this.#sent.takeAll(chunk);
    return this.#inner.write(chunk);
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) this.#sent.takeAll(chunk);
    return this.#inner.writeAll(chunks);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(error?: Error): void {
    this.#inner.destroy(error);
  }

  #deliver(chunk: Buffer, handler: LinkHandler): void {
    if (this.isDeaf) return;
    const owner = this.#owner;
    this.#arrived += chunk.length;
    owner.trace.numbers("data", this.name, chunk.length, this.#arrived, 0);
    owner.arrived(this, this.#arrived);
    const bytes = owner.tamper(chunk);
    if (this.#injected === null) {
      this.#got.takeAll(bytes);
      handler.linkData(bytes);
      return;
    }
    let from = 0;
    for (let at = 0; at <= bytes.length; ) {
      if (this.#injected !== null && this.#got.isAtBoundary) {
        const injected = this.#injected();
        this.#injected = null;
        if (at > from) handler.linkData(bytes.subarray(from, at));
        from = at;
        this.#got.takeAll(injected);
        handler.linkData(Buffer.from(injected));
      }
      if (at === bytes.length) break;
      at += this.#got.takeFrame(bytes, at);
    }
    if (from < bytes.length) handler.linkData(bytes.subarray(from));
  }

  #frameSent(frame: ScannedFrame): void {
    const { type, streamId, length, flags, payload } = frame;
    this.#owner.trace.numbers("sent", this.name, type * 256 + flags, streamId, length);
    this.flow.sent(frame);
    this.#noteStream(frame);
    if (this.isTamperedWith) return;
    if (type === GOAWAY) {
      const code = payload.readUInt32BE(4);
      const text = payload.toString("latin1", 8);
      if (!HARMLESS_GOAWAYS.includes(code)) this.#owner.violation(`${this.name} sent GOAWAY ${code} "${text}"`);
    }
    if (type === RST_STREAM && GRAVE_RESETS.includes(payload.readUInt32BE(0))) {
      this.#owner.violation(`${this.name} sent RST_STREAM ${payload.readUInt32BE(0)} on stream ${streamId}`);
    }
  }

  #frameArrived(frame: ScannedFrame): void {
    const { type, streamId, length, flags } = frame;
    this.#owner.trace.numbers("got", this.name, type * 256 + flags, streamId, length);
    this.flow.received(frame);
    this.#noteStream(frame);
  }

  #noteStream({ type, streamId }: ScannedFrame): void {
    if (streamId === 0) return;
    this.currentStreamId = streamId;
    if (type === HEADERS) this.lastStreamId = Math.max(this.lastStreamId, streamId);
  }
}
