import { acceptEncoding, type Compression, findCompression } from "../codec/compression.ts";
import { ErrorCode } from "../http2/frames.ts";
import type { HeaderBlock } from "../http2/hpack/decoder.ts";
import { LOCAL, REMOTE } from "../http2/stream.ts";
import { Code } from "../rpc/code.ts";
import type { Metadata } from "../rpc/metadata.ts";
import type { Method } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { SpanIds } from "../rpc/trace-context.ts";
import type { ClientTransport } from "./client-transport.ts";
import { GrpcStream } from "./grpc-stream.ts";
import { encoderOf } from "./message-encoding.ts";
import { tellMessageMisuse } from "./misuse.ts";
import { framingError, protocolError } from "./wire/framing-errors.ts";
import { HeaderFields, Seen } from "./wire/header-fields.ts";
import { httpStatusError } from "./wire/http-status.ts";
import {
  FRAMING_OK,
  MessageAssembler,
  type MessageSink,
  PREFIX_BYTES,
  wholeMessageLength,
} from "./wire/message-framing.ts";
import { metadataFromFields, type ReceivedFields } from "./wire/metadata-headers.ts";
import type { RequestHeaders } from "./wire/method-headers.ts";
import { statusError } from "./wire/status.ts";

const NO_DATA = new Uint8Array(0);
const WRONG_LENGTH = "the answer's length differs from its content-length";
const PSEUDO = Seen.METHOD | Seen.SCHEME | Seen.PATH | Seen.AUTHORITY | Seen.MALFORMED;

/**
 * One attempt of a call as a client sees it; the layer above extends it, so that stream, attempt and call are one object.
 * After its end it may be sent again on any connection.
 *
 * Budget of a unary call: this object and the decoded answer.
 */
export abstract class ClientStream extends GrpcStream implements MessageSink, SpanIds {
  transport: ClientTransport | null = null;
  /** The call has ended: no attempt of it may be sent any more. */
  abstract isOver: boolean;
  readonly method: Method;
  headers: RequestHeaders;
  /** What is left of the deadline when the attempt is sent, in ms; -1 without a deadline. */
  timeoutMs = -1;
  /** Sent with the request, or null. */
  requestMetadata: Metadata | null = null;
  tracestate: string | undefined = undefined;
  /** Attempts before this one that reached a server. */
  previousAttempts = 0;
  traceA = 0;
  traceB = 0;
  traceC = 0;
  traceD = 0;
  spanA = 0;
  spanB = 0;
  traceFlags = 0;
  /** The server's pushback, `grpc-retry-pushback-ms` as it came. */
  pushback: string | undefined = undefined;
  /** True once the server's headers have come: gRPC calls the attempt committed then. */
  hasAnswer = false;
  protected responseCompression: Compression | null = null;
  #hasHeaders = false;
  #assembler: MessageAssembler | null = null;
  /** Octets that the answer's content-length still promises; -1 without one. */
  #contentLeft = -1;

  constructor(method: Method, headers: RequestHeaders) {
    super();
    this.method = method;
    this.headers = headers;
  }

  override get connection(): ClientTransport["connection"] {
    return (this.transport as ClientTransport).connection;
  }

  // --- what the layer above hears ---

  /** The server's metadata; `fields` are names and values by turns, or null. */
  protected abstract answerBegins(fields: ReceivedFields | null): void;
  /** Data of the answer; a unary call hands them to `takeMessage`. */
  protected abstract answerData(chunk: Buffer, start: number, to: number): void;
  /** A message that `takeMessage` found, `bytes[start, end)`; it is overwritten after the call. */
  protected abstract answerMessage(
    bytes: Buffer,
    start: number,
    end: number,
    compressed: boolean,
    isOwned: boolean,
  ): void;
  /**
   * The attempt is over and the stream closed. `error` is null for OK; `trailers` are names and values by turns, or null.
   * `wasProcessed` is false when it is certain that the server's handler never saw the request.
   */
  protected abstract answerEnds(error: RpcError | null, trailers: ReceivedFields | null, wasProcessed: boolean): void;

  /** Prepares for another attempt. */
  protected rewind(): void {
    this.#hasHeaders = false;
    this.#assembler = null;
    this.#contentLeft = -1;
    this.hasAnswer = false;
    this.responseCompression = null;
    this.pushback = undefined;
  }

  // --- from the transport ---

  /** A header block: the answer's beginning, an interim answer, trailers, or both in one. */
  receiveHeaders(block: HeaderBlock, end: boolean): void {
    const known = block.derived as HeaderFields | null;
    const fields = known !== null && block.count === 0 ? known : HeaderFields.collect(block);
    if ((fields.seen & PSEUDO) !== 0) return this.#broken("malformed header fields in the answer");
    if (!this.#hasHeaders) {
      if ((fields.seen & Seen.STATUS) === 0) return this.#broken("the answer has no :status");
      if (fields.status < 200) {
        if (end || fields.status === 101) this.#broken(`an answer can't end with status ${fields.status}`);
        // Nobody reads interim answers: they must not come without end.
        else this.connection.glitch();
        return;
      }
      this.#hasHeaders = true;
      if (fields.contentLength >= 0 && !this.#expectContent(fields, end)) return;
      if (end) return this.#trailersOnly(fields);
      this.#begins(fields);
      return;
    }
    if (!end || (fields.seen & Seen.STATUS) !== 0) return this.#broken("headers in the middle of the answer");
    if (this.#contentLeft > 0) return this.#broken(WRONG_LENGTH);
    this.#ends(fields);
  }

  /** DATA of the answer. */
  receiveData(chunk: Buffer, start: number, to: number, end: boolean): void {
    if (!this.#hasHeaders) return this.#broken("DATA before the answer's headers");
    if (this.#contentLeft >= 0 && !this.#countContent(to - start, end)) return;
    if (start < to) this.answerData(chunk, start, to);
    if (end && this.id !== 0)
      this.#over(
        new RpcError(Code.UNKNOWN, "the answer ended without a status", { origin: "remote", reason: "protocol" }),
        null,
      );
  }

  /** The stream is gone: reset, refused, or lost with its connection. */
  gone(error: RpcError, wasProcessed: boolean): void {
    this.releaseRoom();
    this.answerEnds(error, null, wasProcessed);
  }

  /** Nothing waits on the stream any more. */
  writable(): void {
    this.releaseRoom();
  }

  message(buffer: Buffer, start: number, end: number, compressed: boolean, isOwned: boolean): void {
    this.answerMessage(buffer, start, end, compressed, isOwned);
  }

  /** Sends one request of a stream; a promise only when it is compressed elsewhere. Ask `hasRoom` before the next. */
  sendRequest(request: unknown): void | Promise<void> {
    return this.writeMessage(encoderOf(this.method.input, request), request, false);
  }

  /** Sends the only request; `room` if `roomFor` was asked already. */
  sendLast(request: unknown, room?: number): void | Promise<void> {
    return this.writeMessage(encoderOf(this.method.input, request), request, true, room);
  }

  /** No further requests. */
  endRequests(): void {
    if (this.id !== 0 && (this.closedSides & LOCAL) === 0) this.connection.sendData(this, NO_DATA, true);
  }

  /** True while a unary answer has a message that is cut off. */
  get isCut(): boolean {
    return this.#assembler?.isPartial ?? false;
  }

  /** Gives the attempt up: RST_STREAM, no further word of it. */
  abandon(code: number): void {
    this.#assembler?.stop();
    this.releaseRoom();
    if (this.id !== 0) this.connection.resetStream(this, code);
  }

  /** What arrived can't be read: the attempt ends with `error`. */
  unreadable(error: RpcError): void {
    tellMessageMisuse(error, this.transport as ClientTransport);
    this.#over(error, null);
  }

  /** The request can't be sent: the attempt ends with `error`. */
  unsendable(error: RpcError): void {
    this.#over(error, null);
  }

  /** Finds the message in data of a unary answer: in one piece nearly always, then it is read where it lies. */
  protected takeMessage(chunk: Buffer, start: number, to: number): void {
    const max = (this.transport as ClientTransport).maxReceiveBytes;
    if (this.#assembler === null) {
      const length = wholeMessageLength(chunk, start, to);
      if (length >= 0 && length <= max) return this.answerMessage(chunk, start + PREFIX_BYTES, to, false, false);
      this.#assembler = new MessageAssembler(max);
    }
    const result = this.#assembler.push(chunk, start, to, this);
    if (result === FRAMING_OK || this.id === 0) return;
    this.unreadable(framingError(result, this.#assembler.announcedBytes, max));
  }

  #begins(fields: HeaderFields): void {
    if (fields.status !== 200 || fields.subtype === null) {
      return this.#over(httpStatusError(fields.status, fields.contentType), fields.metadata);
    }
    if (fields.subtype !== "proto" && fields.subtype !== "" && fields.subtype !== this.method.output.name) {
      return this.unreadable(otherFormat(fields.subtype, this.method.output.name));
    }
    if (fields.encoding !== "" && fields.encoding !== "identity") {
      this.responseCompression = findCompression(fields.encoding) ?? null;
      if (this.responseCompression === null) return this.unreadable(unknownEncoding(fields.encoding));
    }
    this.hasAnswer = true;
    this.answerBegins(fields.metadata);
  }

  /** RFC 9113 §8.1.1: what differs from its content-length is malformed; 304 alone may name one and have no body. */
  #expectContent({ contentLength, status }: HeaderFields, end: boolean): boolean {
    this.#contentLeft = contentLength;
    if (!end || contentLength === 0 || status === 304) return true;
    this.#broken(WRONG_LENGTH);
    return false;
  }

  #countContent(bytes: number, end: boolean): boolean {
    this.#contentLeft -= bytes;
    if (this.#contentLeft === 0 || (this.#contentLeft > 0 && !end)) return true;
    this.#broken(WRONG_LENGTH);
    return false;
  }

  #trailersOnly(fields: HeaderFields): void {
    // A failure that a proxy makes of gRPC's trailers and a page of its own is still told as it is; that all is well is not believed.
    const isFailure = fields.grpcStatus !== undefined && fields.grpcStatus !== "0";
    if (!isFailure && (fields.status !== 200 || fields.subtype === null)) {
      return this.#over(httpStatusError(fields.status, fields.contentType), fields.metadata);
    }
    this.#ends(fields);
  }

  #ends(fields: HeaderFields): void {
    this.pushback = fields.pushback;
    if (fields.grpcStatus === "0") {
      const isCut = this.isCut;
      if (isCut)
        this.#over(
          new RpcError(Code.INTERNAL, "the answer ended inside a message", { reason: "protocol" }),
          fields.metadata,
        );
      else this.#over(null, fields.metadata);
      return;
    }
    const error = statusError(fields.grpcStatus, fields.grpcMessage, fields.grpcDetails, () =>
      metadataFromFields(fields.metadata),
    ) as RpcError;
    this.#over(error, fields.metadata);
  }

  /** The attempt is over. The server may have ended before us: then it is told that nothing more comes. */
  #over(error: RpcError | null, trailers: ReceivedFields | null): void {
    this.#assembler?.stop();
    this.releaseRoom();
    if (this.id !== 0) {
      if (this.closedSides === (LOCAL | REMOTE)) this.connection.localEnded(this);
      else
        this.connection.resetStream(
          this,
          error !== null && error.origin === "local" ? ErrorCode.CANCEL : ErrorCode.NO_ERROR,
        );
    }
    this.answerEnds(error, trailers, true);
  }

  #broken(text: string): void {
    if (this.id !== 0) this.connection.refuseStream(this, ErrorCode.PROTOCOL_ERROR, text);
    this.releaseRoom();
    this.answerEnds(new RpcError(Code.INTERNAL, text, { reason: "protocol" }), null, true);
  }
}

/** Not if it is `proto`: servers that know nothing of formats say so whatever they send. */
function otherFormat(answered: string, asked: string): RpcError {
  return protocolError(`the server answers in application/grpc+${answered.slice(0, 40)}, the call is in ${asked}`);
}

function unknownEncoding(encoding: string): RpcError {
  const text = `the server answers in the unknown grpc-encoding "${encoding.slice(0, 40)}"; known are ${acceptEncoding}`;
  return protocolError(text);
}
