import { acceptEncoding, findCompression } from "../codec/compression.ts";
import { Connection } from "../http2/connection.ts";
import { ErrorCode } from "../http2/frames.ts";
import type { HeaderBlock, HeaderEntry } from "../http2/hpack/decoder.ts";
import { BlockWriter, type PreparedBlock } from "../http2/hpack/prepared-block.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { Link } from "../http2/link.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Method } from "../rpc/method.ts";
import type { Random } from "../rpc/random.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { TraceContext } from "../rpc/trace-context.ts";
import { ConnectionKeeper, type KeptLifetime } from "./connection-keeper.ts";
import {
  type KeepaliveOptions,
  type LifetimeOptions,
  type PingPolicy,
  PingStrikes,
  TOO_MANY_PINGS,
} from "./keepalive.ts";
import type { MessageReader } from "./message-reader.ts";
import type { MethodFormat, ServerHeaders } from "./server-headers.ts";
import { ServerStream } from "./server-stream.ts";
import { protocolError } from "./wire/framing-errors.ts";
import { HeaderFields, Seen, TOKENS, takeVarying, varying } from "./wire/header-fields.ts";
import { metadataError } from "./wire/metadata-headers.ts";
import { fieldsBound, writeFields } from "./wire/method-headers.ts";
import { resetError } from "./wire/status.ts";

/**
 * What becomes of a call when its headers are good: `admitted`; `refused`, it was answered already and nothing more comes; `pending`,
 * the body is not decoded and no request comes before `stream.admit()` or the end of the call.
 */
export type Admission = "admitted" | "refused" | "pending";

/** One method of a server, as the transport sees it. All calls come in the order of the stream. */
export interface ServerRoute {
  readonly method: Method;
  /** The headers of a call are good. */
  begin(stream: ServerStream): Admission;
  /** The request of a unary or server-streaming call. */
  request(stream: ServerStream, message: unknown): void;
  /** The requests of a client-streaming or bidirectional call. */
  messages(stream: ServerStream, messages: MessageReader<unknown>): void;
  /** The call has ended without the handler's doing: reset, connection lost, request unreadable. */
  aborted(stream: ServerStream, error: RpcError): void;
  /** The call is to end now with this status: its time is over, or the server's is. */
  cancelled(stream: ServerStream, error: RpcError): void;
  /** The stream's timer has come. */
  due(stream: ServerStream): void;
}

/** What all connections of a server share. */
export interface ServerTransportOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Http2Limits;
  /** When silent clients are asked for a sign of life. */
  readonly keepalive: KeepaliveOptions;
  /** How often clients may ask for one. */
  readonly pings: PingPolicy;
  /** How long connections may live; null = for ever. */
  readonly lifetime: LifetimeOptions | null;
  /** Largest request message in bytes, after inflation. */
  readonly maxReceiveBytes: number;
  /** The route of a path with a leading slash, or null. */
  route(path: string): ServerRoute | null;
  /** Why there is no such route. */
  unknown(path: string): RpcError;
  /** Prepared for all connections by `serverHeaders`. */
  readonly headers: ServerHeaders;
  /** A word for people on what the first octets of a connection are if not HTTP/2. */
  explain(firstBytes: Buffer): string | undefined;
}

/** Whom a transport tells of its connection. */
export interface ServerTransportOwner {
  /** The connection has ended; an error unless that was in order. */
  closed(transport: ServerTransport, error: Error | undefined): void;
  /** The client did something wrong that cost it a stream or a call; `kind` comes of a fixed list. */
  misused(transport: ServerTransport, kind: string, text: string): void;
}

/** What a request must have, and be a POST (gRPC PROTOCOL-HTTP2, "Requests"). */
const REQUEST = Seen.METHOD | Seen.SCHEME | Seen.PATH;
const GRPC_REQUEST = REQUEST | Seen.POST | Seen.CONTENT_TYPE;

/** The server's half of gRPC on one connection. */
export class ServerTransport {
  readonly connection: Connection<ServerStream>;
  /** Writes our header blocks. */
  readonly blocks: BlockWriter;
  readonly okTrailers: PreparedBlock;
  readonly maxReceiveBytes: number;
  readonly maxSendBufferBytes: number;
  readonly tokens: ReadonlyMap<string, number> = TOKENS;
  readonly derive: (fields: readonly HeaderEntry[]) => unknown;
  /** Handlers that go on though their call has ended; the layer above counts. */
  lingering = 0;
  /** Set with all HEADERS and DATA sent: forgives the client's PINGs before. */
  hasSent = false;
  readonly #options: ServerTransportOptions;
  readonly #owner: ServerTransportOwner;
  readonly #keeper: ConnectionKeeper;
  /** Made with the first PING. */
  #strikes: PingStrikes | null = null;
  /** New calls are not taken; the connection ends with its last call. */
  #isRefusing = false;

  constructor(link: Link, options: ServerTransportOptions, owner: ServerTransportOwner) {
    this.#options = options;
    this.#owner = owner;
    this.okTrailers = options.headers.okTrailers;
    this.derive = options.headers.derive;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.maxSendBufferBytes = options.limits.maxSendBufferBytes;
    this.connection = new Connection(link, this, { isServer: true, clock: options.clock, limits: options.limits });
    this.blocks = new BlockWriter(this.connection.encoder);
    const lifetime = options.lifetime === null ? null : this.#lifetime(options.lifetime, options.random);
    this.#keeper = new ConnectionKeeper(this.connection, options.clock, options.keepalive, lifetime);
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  start(): void {
    this.connection.start();
    this.#keeper.start();
  }

  /** First step of a graceful end: the client is asked to open nothing more; calls that are on their way are still taken. */
  announceShutdown(why: string): void {
    this.#keeper.draining();
    this.connection.announceShutdown(why);
  }

  /** Second step: no new calls, as the client is told; the connection ends with its last call. */
  refuse(why: string): void {
    this.#keeper.draining();
    this.#refuse(why);
  }

  /** Ends all calls with this status, then the connection. */
  cancel(error: RpcError): void {
    for (const stream of this.connection.streams.all()) stream.route?.cancelled(stream, error);
    this.connection.close();
  }

  /** HTTP forbids what the peer sent on the stream (RFC 9113 §8.1.1). */
  malformed(stream: ServerStream, text: string): void {
    const wasOpen = stream.id !== 0;
    this.connection.refuseStream(stream, ErrorCode.PROTOCOL_ERROR, text);
    if (wasOpen && stream.route !== null) stream.gone(new RpcError(Code.INTERNAL, text, { reason: "protocol" }));
  }

  // --- StreamOwner ---

  createStream(): ServerStream {
    this.#keeper.streamsOpened++;
    return new ServerStream(this);
  }

  headers(stream: ServerStream, block: HeaderBlock, end: boolean): void {
    if (stream.hasHeaders) return this.#trailers(stream, block, end);
    stream.hasHeaders = true;
    stream.startedAt = this.#options.clock.now();
    const prefix = block.derived as HeaderFields | null;
    // Usual requests: all that varies behind a known run are deadline and trace.
    if (prefix !== null && takeVarying(block)) {
      const hasTimeout = varying.timeoutMs !== -1;
      this.#begin(
        stream,
        prefix,
        hasTimeout ? varying.timeoutMs : prefix.timeoutMs,
        varying.trace ?? prefix.trace,
        end,
      );
      return;
    }
    const fields = HeaderFields.collect(block);
    if (prefix === null || fields.path !== prefix.path || fields.subtype !== prefix.subtype) this.#find(fields);
    this.#begin(stream, fields, fields.timeoutMs, fields.trace, end);
  }

  data(stream: ServerStream, chunk: Buffer, start: number, to: number, end: boolean): void {
    stream.data(chunk, start, to, end);
    // The body of a request that was answered by headers alone: it should come to its end soon, or is asked to (RFC 9113 §8.1).
    if (stream.route !== null) return;
    if (stream.id === 0 || end) return stream.dropTimer?.cancel();
    stream.droppedBytes += to - start;
    if (stream.droppedBytes <= this.#options.limits.maxDroppedBodyBytes) return;
    stream.dropTimer?.cancel();
    this.connection.resetStream(stream, ErrorCode.NO_ERROR);
  }

  reset(stream: ServerStream, code: number, byPeer: boolean, limit?: string): void {
    stream.dropTimer?.cancel();
    if (stream.route !== null) stream.gone(this.#goneError(code, byPeer, limit));
  }

  writable(stream: ServerStream): void {
    stream.writable();
  }

  misused(kind: string, text: string): void {
    this.#owner.misused(this, kind, text);
  }

  settings(): void {}

  released(): void {
    if (this.#isRefusing && this.connection.streams.size === 0) this.connection.close();
  }

  goaway(): void {}

  pinged(): void {
    this.#strikes ??= new PingStrikes(this.#options.pings, this.#options.limits.maxPingStrikes);
    const { writer } = this.connection;
    if (this.hasSent || writer.hasSentData) this.#strikes.sent();
    this.hasSent = false;
    writer.hasSentData = false;
    if (!this.#strikes.received(this.#options.clock.now(), this.connection.streams.size)) return;
    this.connection.fail(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_PINGS, TOO_MANY_PINGS);
  }

  closed(error: Error | undefined): void {
    this.#keeper.close();
    this.#owner.closed(this, error);
  }

  explain(firstBytes: Buffer): string | undefined {
    return this.#options.explain(firstBytes);
  }

  // --- the end in detail ---

  #lifetime(options: LifetimeOptions, random: Random): KeptLifetime {
    return {
      options,
      random,
      leave: (why) => this.#leave(why),
      refuse: (why) => this.#refuse(why),
      expire: () => this.cancel(new RpcError(Code.UNAVAILABLE, TOO_OLD, { reason: "closed" })),
    };
  }

  /** The answer to the PING says that the client has read the GOAWAY before it: what it opened by then is on this side of it. */
  #leave(why: string): void {
    this.connection.announceShutdown(why);
    this.connection.ping(() => this.#refuse(why));
  }

  #refuse(why: string): void {
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    this.connection.refuseNewStreams(ErrorCode.NO_ERROR, why);
    if (this.connection.streams.size === 0) this.connection.close();
  }

  // --- requests in detail ---

  #find(fields: HeaderFields): void {
    const { route, headers } = this.#options;
    const found = route(fields.path);
    fields.route = found;
    fields.format = found === null || fields.subtype === null ? null : headers.format(found, fields.subtype);
  }

  /** For a server a lost client is one that no longer waits (gRPC PROTOCOL-HTTP2, "Errors"). */
  #goneError(code: number, byPeer: boolean, limit: string | undefined): RpcError {
    if (!this.connection.isClosed) return resetError(code, byPeer, false, { limit });
    return new RpcError(Code.CANCELLED, "the client's connection is lost", { reason: "connection" });
  }

  #begin(
    stream: ServerStream,
    fields: HeaderFields,
    timeoutMs: number,
    trace: TraceContext | null,
    end: boolean,
  ): void {
    const { seen } = fields;
    if ((seen & (REQUEST | Seen.MALFORMED | Seen.STATUS)) !== REQUEST || !isPath(fields)) {
      return this.malformed(stream, "malformed request headers");
    }
    const subtype = (seen & GRPC_REQUEST) === GRPC_REQUEST ? fields.subtype : null;
    if (end && fields.contentLength > 0) return this.malformed(stream, "a content-length without a body");
    stream.expectContent(fields.contentLength);
    if (subtype === null) return this.#notGrpc(stream, fields);
    const route = fields.route as ServerRoute | null;
    stream.format = fields.format as MethodFormat | null;
    stream.timeoutMs = timeoutMs;
    stream.trace = trace;
    stream.tracestate = fields.tracestate;
    stream.authority = fields.authority;
    stream.metadataFields = fields.metadata;
    stream.acceptEncoding = fields.acceptEncoding;
    stream.previousAttempts = fields.previousAttempts;
    const refusal = this.#refusal(fields, route, timeoutMs, subtype);
    if (refusal !== null) return stream.refuse(refusal, this.#options.headers.refusal(subtype));
    if (fields.encoding !== "" && fields.encoding !== "identity") {
      stream.requestCompression = findCompression(fields.encoding) ?? null;
    }
    stream.route = route;
    stream.begin(end);
  }

  /** The status that ends a call before any method sees it, or null. */
  #refusal(fields: HeaderFields, route: ServerRoute | null, timeoutMs: number, subtype: string): RpcError | null {
    if (route === null) return this.#options.unknown(fields.path);
    if (fields.format === null) return unknownFormat(route.method, subtype);
    if (Number.isNaN(timeoutMs)) return this.#malformed("malformed-timeout", protocolError("malformed grpc-timeout"));
    const badMetadata = metadataError(fields.metadata);
    if (badMetadata !== null) return this.#malformed("malformed-metadata", badMetadata);
    const { encoding } = fields;
    if (encoding !== "" && encoding !== "identity" && findCompression(encoding) === undefined) {
      const text = `grpc-encoding "${encoding}" is not supported; supported are ${acceptEncoding}`;
      return new RpcError(Code.UNIMPLEMENTED, text, { reason: "unimplemented" });
    }
    return null;
  }

  #malformed(kind: string, error: RpcError): RpcError {
    this.misused(kind, error.text);
    return error;
  }

  #trailers(stream: ServerStream, block: HeaderBlock, end: boolean): void {
    const fields = HeaderFields.collect(block);
    const pseudo = Seen.METHOD | Seen.SCHEME | Seen.PATH | Seen.AUTHORITY | Seen.STATUS | Seen.MALFORMED;
    if (!end || (fields.seen & pseudo) !== 0) return this.malformed(stream, "malformed trailers");
    if (stream.route !== null) stream.trailers();
    else stream.dropTimer?.cancel();
  }

  /** Something else than gRPC: an answer in HTTP that a person understands. */
  #notGrpc(stream: ServerStream, fields: HeaderFields): void {
    const isPost = (fields.seen & Seen.POST) !== 0;
    const text = isPost
      ? `This port serves gRPC: content-type must be application/grpc, not "${fields.contentType}".\n`
      : `This port serves gRPC: requests are POST, not ${fields.method}.\n`;
    const body = Buffer.from(text);
    const head: [string, string][] = [
      [":status", isPost ? "415" : "405"],
      ["content-type", "text/plain; charset=utf-8"],
      ["content-length", String(body.length)],
    ];
    if (!isPost) head.push(["allow", "POST"]);
    const block = Buffer.allocUnsafe(fieldsBound(head));
    const to = writeFields(this.connection.encoder, block, 0, head);
    this.connection.sendHeaders(stream, block.subarray(0, to), false);
    this.connection.sendData(stream, body, true);
    if (stream.id !== 0) this.#dropBody(stream);
  }

  /** An HTTP client is happier when it may send what it began, but a body that never ends must not count for ever. */
  #dropBody(stream: ServerStream): void {
    const drop = (): void => this.connection.resetStream(stream, ErrorCode.NO_ERROR);
    stream.dropTimer = this.#options.clock.setTimeout(drop, this.#options.limits.dropTimeoutMs);
  }
}

const TOO_OLD =
  "the server ends connections of this age, and the time for calls to end is over (keepalive.maxAgeGraceMs)";

function unknownFormat({ path, input }: Method, subtype: string): RpcError {
  const offered = input.name !== "json" && input.as?.("json") !== undefined ? [input.name, "json"] : [input.name];
  const text = `content-type application/grpc+${subtype.slice(0, 40)} is not served by ${path}, but ${offered.join(" and ")}`;
  return new RpcError(Code.INTERNAL, text, { reason: "unimplemented" });
}

/** A path that routes may be looked up by: CVE-2026-33186 came of others. */
function isPath(fields: HeaderFields): boolean {
  return fields.path.charCodeAt(0) === 0x2f || (fields.path === "*" && fields.method === "OPTIONS");
}
