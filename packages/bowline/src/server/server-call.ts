import type { Identity } from "../auth/authenticator.ts";
import { findCompression, identity, unknownCompression } from "../codec/compression.ts";
import { HEADER_SENT, type ServerStream } from "../grpc/server-stream.ts";
import { metadataFromFields } from "../grpc/wire/metadata-headers.ts";
import type { LinkPeer } from "../http2/link.ts";
import { CallContext } from "../rpc/call-context.ts";
import type { Clock } from "../rpc/clock.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { RpcError } from "../rpc/rpc-error.ts";
import { dropExcess } from "./answer-metadata.ts";
import type { MethodServer } from "./method-server.ts";
import type { ServerContext } from "./server-context.ts";

/** A call that is being served: what its handler gets as context, and what travels on to the calls it makes. */
export class ServerCall extends CallContext implements ServerContext {
  readonly stream: ServerStream;
  readonly server: MethodServer;
  /** The handler's part is over, or nobody waits for it any more. */
  isOver = false;
  identity: Identity | null = null;
  /** Its status, once it is over; null for OK. */
  error: RpcError | null = null;
  /** Run when it is over: a streaming handler is left. */
  onEnd: (() => void) | null = null;
  /** Its handler has begun to wait for something and has not come to its end. */
  isRunning = false;
  #lingers = false;
  #metadata: Metadata | null = null;

  constructor(stream: ServerStream, server: MethodServer) {
    super();
    this.stream = stream;
    this.server = server;
    this.isRetry = stream.previousAttempts > 0;
    if (stream.tracestate !== undefined) this.tracestate = printable(stream.tracestate);
  }

  /** The call is over. If its handler goes on, it counts against the streams that the client may open. */
  lingers(): void {
    if (!this.isRunning || this.#lingers) return;
    this.#lingers = true;
    this.stream.transport.lingering++;
  }

  /** The handler has come to its end. */
  handlerEnded(): void {
    this.isRunning = false;
    if (!this.#lingers) return;
    this.#lingers = false;
    this.stream.transport.lingering--;
  }

  get method(): string {
    return this.server.method.path;
  }

  get metadata(): Metadata {
    if (this.#metadata !== null) return this.#metadata;
    const { stream } = this;
    const metadata = metadataFromFields(stream.metadataFields);
    // Read from their octets when the call came in; shown as they were for who hands them on by hand.
    if (stream.trace !== null) metadata.append("traceparent", stream.trace.toString());
    if (this.tracestate !== undefined) metadata.append("tracestate", this.tracestate);
    this.#metadata = metadata;
    return metadata;
  }

  get deadline(): Date | undefined {
    const left = this.timeRemainingMs;
    if (left === undefined) return undefined;
    const deadline = new Date();
    deadline.setTime(deadline.getTime() + left);
    return deadline;
  }

  get timeRemainingMs(): number | undefined {
    return this.deadlineAt === 0 ? undefined : Math.max(0, this.deadlineAt - this.clock.fresh());
  }

  get header(): Metadata {
    const { stream } = this;
    stream.headerMetadata ??= stream.hasBegun ? new Metadata().seal(HEADER_SENT) : new Metadata();
    return stream.headerMetadata;
  }

  get trailer(): Metadata {
    this.stream.trailerMetadata ??= new Metadata();
    return this.stream.trailerMetadata;
  }

  sendHeader(): void {
    const { stream } = this;
    if (this.isOver || stream.hasBegun) return;
    const excess = dropExcess(stream, null);
    if (excess !== null) throw excess;
    stream.sendHeaders();
  }

  get compression(): string {
    return this.stream.compression?.name ?? identity.name;
  }

  set compression(name: string) {
    const compression = findCompression(name);
    if (compression === undefined) throw unknownCompression("context.compression", name);
    const { stream } = this;
    // Of a call that has ended there is nothing to compress; who serves it may not know yet.
    if (this.isOver) return;
    if (stream.hasBegun) throw new Error(TOO_LATE);
    stream.compression = compression !== identity && stream.accepts(name) ? compression : null;
    stream.compressFromBytes = this.server.compressFromBytes;
  }

  get compressIf(): ((message: unknown) => boolean) | null {
    return this.stream.compressIf;
  }

  set compressIf(decide: ((message: unknown) => boolean) | null) {
    if (decide !== null && typeof decide !== "function") {
      throw new TypeError(`context.compressIf is ${typeof decide}: give a function from message to boolean, or null`);
    }
    this.stream.compressIf = decide;
  }

  get isCompressed(): boolean {
    return this.stream.wasCompressed;
  }

  get peer(): LinkPeer {
    return this.stream.connection.link.peer;
  }

  get clock(): Clock {
    return this.server.clock;
  }

  override propagatedMetadata(): Metadata | null {
    const { propagate } = this.server;
    if (propagate.length === 0 || this.stream.metadataFields === null) return null;
    const kept = new Metadata();
    for (const [key, value] of this.metadata) if (propagate.includes(key)) kept.append(key, value);
    return kept.size === 0 ? null : kept;
  }
}

const PRINTABLE = /^[\x20-\x7e]*$/;

/**
 * A `tracestate` as metadata can be: a tab, which may stand around its members, is a space. Undefined when it has other octets that are
 * not printable: an invalid one is dropped (W3C Trace Context).
 */
function printable(tracestate: string): string | undefined {
  const text = tracestate.replaceAll("\t", " ");
  return PRINTABLE.test(text) ? text : undefined;
}

const TOO_LATE =
  "context.compression was set after the first answer: the header that names it is sent; set it before, and say by context.compressIf which answers are compressed";
