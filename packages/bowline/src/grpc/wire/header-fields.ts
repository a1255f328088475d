import type { HeaderBlock, HeaderEntry } from "../../http2/hpack/decoder.ts";
import { parseTraceparent, parseTraceparentText, type TraceContext } from "../../rpc/trace-context.ts";
import { parseContentType } from "./http-status.ts";
import type { IndexedField, ReceivedFields } from "./metadata-headers.ts";
import { parseTimeout, parseTimeoutText } from "./timeout.ts";

/** Numbers of the header fields that gRPC reads; all others are metadata. */
export const Token = {
  METHOD: 1,
  SCHEME: 2,
  PATH: 3,
  AUTHORITY: 4,
  STATUS: 5,
  CONTENT_TYPE: 6,
  TE: 7,
  TIMEOUT: 8,
  TRACEPARENT: 9,
  TRACESTATE: 10,
  GRPC_STATUS: 11,
  GRPC_MESSAGE: 12,
  GRPC_DETAILS: 13,
  ENCODING: 14,
  ACCEPT_ENCODING: 15,
  CONTENT_LENGTH: 16,
  HOST: 17,
  FORBIDDEN: 18,
  ATTEMPTS: 19,
  PUSHBACK: 20,
} as const;

/** Token of each name. Connection-specific fields are malformed in HTTP/2 (RFC 9113 §8.2.2). */
export const TOKENS: ReadonlyMap<string, number> = new Map<string, number>([
  [":method", Token.METHOD],
  [":scheme", Token.SCHEME],
  [":path", Token.PATH],
  [":authority", Token.AUTHORITY],
  [":status", Token.STATUS],
  ["content-type", Token.CONTENT_TYPE],
  ["te", Token.TE],
  ["grpc-timeout", Token.TIMEOUT],
  ["traceparent", Token.TRACEPARENT],
  ["tracestate", Token.TRACESTATE],
  ["grpc-status", Token.GRPC_STATUS],
  ["grpc-message", Token.GRPC_MESSAGE],
  ["grpc-status-details-bin", Token.GRPC_DETAILS],
  ["grpc-encoding", Token.ENCODING],
  ["grpc-accept-encoding", Token.ACCEPT_ENCODING],
  ["content-length", Token.CONTENT_LENGTH],
  ["host", Token.HOST],
  ["grpc-previous-rpc-attempts", Token.ATTEMPTS],
  ["grpc-retry-pushback-ms", Token.PUSHBACK],
  ["connection", Token.FORBIDDEN],
  ["keep-alive", Token.FORBIDDEN],
  ["proxy-connection", Token.FORBIDDEN],
  ["transfer-encoding", Token.FORBIDDEN],
  ["upgrade", Token.FORBIDDEN],
]);

/** What a block was found to contain; bits of {@link HeaderFields.seen}. */
export const Seen = {
  METHOD: 1,
  SCHEME: 2,
  PATH: 4,
  AUTHORITY: 8,
  STATUS: 16,
  /** A field that is no pseudo header. */
  REGULAR: 32,
  /** `:method` is POST. */
  POST: 64,
  TE: 128,
  CONTENT_TYPE: 256,
  HOST: 512,
  /** Malformed by RFC 9113 §8: the stream ends with PROTOCOL_ERROR. */
  MALFORMED: 1024,
} as const;

/** Codes below 0x21, DEL and upper-case letters can't be in names; `:` only in front. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Items that an array has room for from its first one on (V8). */
const FEW_ITEMS = 17;
/** Of a list: V8 keeps joined text as a tree, for which a sender pays one octet a branch. W3C lets 32 members be enough. */
const MAX_LIST_FIELDS = 8;
/** NUL, CR and LF can't be in values, nor white space at their ends (RFC 9113 §8.2.1). */
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
const BAD_OCTET = /[\0\r\n]/;

/**
 * The fields of one header block, sorted: what gRPC reads into fields of its own, the rest as metadata.
 *
 * One is made for each run of constant fields (and found again through the HPACK cache), and one per process collects what varies.
 */
export class HeaderFields {
  seen = 0;
  method = "";
  path = "";
  /** What the layer above found for `path`, kept with the cached run. */
  route: unknown = undefined;
  /** What the layer above found for `route` and `subtype`, kept likewise. */
  format: unknown = undefined;
  authority = "";
  /** `:status`, 0 without. */
  status = 0;
  contentType = "";
  /** The codec that the content type names, null when it is not gRPC's; parsed once for a cached run. */
  subtype: string | null = null;
  /** `grpc-timeout` in ms, -1 without, NaN when malformed. */
  timeoutMs = -1;
  trace: TraceContext | null = null;
  tracestate: string | undefined = undefined;
  encoding = "";
  acceptEncoding = "";
  /** -1 without, NaN when malformed. */
  contentLength = -1;
  grpcStatus: string | undefined = undefined;
  grpcMessage = "";
  grpcDetails: string | undefined = undefined;
  /** `grpc-previous-rpc-attempts`. */
  previousAttempts = 0;
  /** `grpc-retry-pushback-ms` as it came. */
  pushback: string | undefined = undefined;
  /** Fields that gRPC has no word for, as they came; null without any. Those who keep it see no later change. */
  metadata: ReceivedFields | null = null;
  /** `metadata` while fields are added to it; null when it is another's. */
  #growing: (string | IndexedField)[] | null = null;
  /** Fields that were joined to those before them. */
  #joins = 0;

  /** All fields of a block, in an object that is used again for the next block of the process. */
  static collect(block: HeaderBlock): HeaderFields {
    SCRATCH.copyFrom(block.derived === null ? EMPTY : (block.derived as HeaderFields));
    for (let i = 0; i < block.count; i++) SCRATCH.addField(block, i);
    SCRATCH.#trim();
    return SCRATCH;
  }

  copyFrom(other: HeaderFields): void {
    this.seen = other.seen;
    this.method = other.method;
    this.path = other.path;
    this.route = other.route;
    this.format = other.format;
    this.authority = other.authority;
    this.status = other.status;
    this.contentType = other.contentType;
    this.subtype = other.subtype;
    this.timeoutMs = other.timeoutMs;
    this.trace = other.trace;
    this.tracestate = other.tracestate;
    this.encoding = other.encoding;
    this.acceptEncoding = other.acceptEncoding;
    this.contentLength = other.contentLength;
    this.grpcStatus = other.grpcStatus;
    this.grpcMessage = other.grpcMessage;
    this.grpcDetails = other.grpcDetails;
    this.previousAttempts = other.previousAttempts;
    this.pushback = other.pushback;
    this.metadata = other.metadata;
    this.#growing = null;
    this.#joins = other.#joins;
  }

  /**
   * Takes one field; pseudo headers must come first, once each (RFC 9113 §8.3). `indexed` is the table's entry with this
   * name and value, if there is one.
   */
  add(token: number, name: string, value: string, indexed: IndexedField | null = null): void {
    if (BAD_VALUE.test(value)) return this.#bad(token, name, value);
    if (name.charCodeAt(0) === 0x3a) this.#pseudo(token, value);
    else if (token !== 0) this.#regular(token, value);
    else this.#unknown(name, value, indexed);
  }

  /**
   * grpc-go ends a grpc-message as its user wrote it, and gRPC's own document lets metadata lose white space at their ends: that costs no
   * call, though RFC 9113 calls it malformed.
   */
  #bad(token: number, name: string, value: string): void {
    if (name.charCodeAt(0) === 0x3a || BAD_OCTET.test(value)) {
      this.seen |= Seen.MALFORMED;
      return;
    }
    if (token === 0) this.#unknown(name, stripped(value), null);
    else this.#regular(token, token === Token.GRPC_MESSAGE ? value : stripped(value));
  }

  /** Takes field `i` of a block; what varies in each call is read from its octets. */
  addField(block: HeaderBlock, i: number): void {
    const token = block.token(i);
    const start = block.rawStart(i);
    if (start >= 0 && token === Token.TIMEOUT) {
      const timeoutMs = parseTimeout(block.rawBuffer, start, block.rawLength(i));
      if (timeoutMs >= 0) return this.#timeout(timeoutMs);
    } else if (start >= 0 && token === Token.TRACEPARENT) {
      const trace = parseTraceparent(block.rawBuffer, start, block.rawLength(i));
      if (trace !== null) return this.#traceparent(trace);
    }
    this.add(token, block.name(i), block.value(i), block.isIndexed(i) ? block.entry(i) : null);
  }

  #unknown(name: string, value: string, indexed: IndexedField | null): void {
    this.seen |= Seen.REGULAR;
    if (!NAME.test(name)) this.seen |= Seen.MALFORMED;
    this.#growing ??= this.metadata?.slice() ?? [];
    this.metadata = this.#growing;
    if (indexed === null) this.#growing.push(name, value);
    else this.#growing.push(indexed);
  }

  /** Drops the room that an array has for more: half of itself, which many streams would keep. */
  #trim(): void {
    if (this.#growing !== null && this.#growing.length > FEW_ITEMS) this.metadata = this.#growing.slice();
    this.#growing = null;
  }

  #pseudo(token: number, value: string): void {
    const bit = token >= Token.METHOD && token <= Token.STATUS ? 1 << (token - 1) : Seen.MALFORMED;
    if ((this.seen & (bit | Seen.REGULAR)) !== 0) this.seen |= Seen.MALFORMED;
    this.seen |= bit;
    switch (token) {
      case Token.METHOD:
        this.method = value;
        if (value === "POST") this.seen |= Seen.POST;
        break;
      case Token.PATH:
        this.path = value;
        if (value === "") this.seen |= Seen.MALFORMED;
        break;
      case Token.AUTHORITY:
        this.authority = value;
        break;
      case Token.STATUS:
        this.status = /^[0-9]{3}$/.test(value) ? Number(value) : 0;
        if (this.status === 0) this.seen |= Seen.MALFORMED;
        break;
    }
  }

  #regular(token: number, value: string): void {
    this.seen |= Seen.REGULAR;
    switch (token) {
      case Token.CONTENT_TYPE:
        this.seen |= Seen.CONTENT_TYPE;
        this.contentType = value;
        this.subtype = parseContentType(value);
        break;
      case Token.TE:
        this.seen |= value === "trailers" ? Seen.TE : Seen.MALFORMED;
        break;
      case Token.TIMEOUT:
        this.#timeout(parseTimeoutText(value));
        break;
      case Token.TRACEPARENT:
        this.trace = parseTraceparentText(value);
        break;
      case Token.TRACESTATE:
        this.tracestate = this.#joined(this.tracestate, value);
        break;
      case Token.GRPC_STATUS:
        this.grpcStatus = value;
        break;
      case Token.GRPC_MESSAGE:
        this.grpcMessage = value;
        break;
      case Token.GRPC_DETAILS:
        this.grpcDetails = value;
        break;
      case Token.ENCODING:
        this.encoding = value;
        break;
      case Token.ACCEPT_ENCODING:
        this.acceptEncoding = this.#joined(this.acceptEncoding || undefined, value);
        break;
      case Token.CONTENT_LENGTH:
        if (!/^[0-9]{1,15}$/.test(value) || (this.contentLength >= 0 && this.contentLength !== Number(value))) {
          this.seen |= Seen.MALFORMED;
        }
        this.contentLength = Number(value);
        break;
      case Token.HOST:
        this.seen |= Seen.HOST;
        if (this.authority === "") this.authority = value;
        else if (this.authority !== value) this.seen |= Seen.MALFORMED;
        break;
      case Token.ATTEMPTS:
        this.previousAttempts = /^[0-9]{1,4}$/.test(value) ? Number(value) : 0;
        break;
      case Token.PUSHBACK:
        this.pushback = value;
        break;
      default:
        this.seen |= Seen.MALFORMED;
    }
  }

  /** A list that came in several fields (RFC 9110 §5.3); all but the first {@link MAX_LIST_FIELDS} of a block are left out. */
  #joined(list: string | undefined, value: string): string {
    if (list === undefined) return value;
    return ++this.#joins < MAX_LIST_FIELDS ? `${list},${value}` : list;
  }

  #traceparent(trace: TraceContext): void {
    this.seen |= Seen.REGULAR;
    this.trace = trace;
  }

  #timeout(timeoutMs: number): void {
    this.seen |= Seen.REGULAR;
    this.timeoutMs = timeoutMs < 0 ? Number.NaN : timeoutMs;
  }
}

/** Without white space at its ends. By loops: what a regular expression tries at each space inside, a peer could make take a second. */
function stripped(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isWhite(value.charCodeAt(start))) start++;
  while (end > start && isWhite(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isWhite(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

const EMPTY = new HeaderFields();
const SCRATCH = new HeaderFields();

/** For `StreamOwner.derive`: the fields of a run that will be seen again. */
export function readFields(entries: readonly HeaderEntry[]): HeaderFields {
  const fields = new HeaderFields();
  for (const entry of entries) fields.add(entry.token, entry.name, entry.value, entry);
  return fields;
}

/** What `takeVarying` found. */
export const varying = {
  /** -1 without. */
  timeoutMs: -1,
  trace: null as TraceContext | null,
};

/**
 * Reads the fields behind a block's prefix into `varying`, if they are nothing but a good deadline and trace in plain octets.
 * This is the whole of header reading for nearly every call.
 */
export function takeVarying(block: HeaderBlock): boolean {
  varying.timeoutMs = -1;
  varying.trace = null;
  for (let i = 0; i < block.count; i++) {
    const start = block.rawStart(i);
    if (start < 0) return false;
    const token = block.token(i);
    if (token === Token.TIMEOUT) {
      varying.timeoutMs = parseTimeout(block.rawBuffer, start, block.rawLength(i));
      if (varying.timeoutMs < 0) return false;
    } else if (token === Token.TRACEPARENT) {
      varying.trace = parseTraceparent(block.rawBuffer, start, block.rawLength(i));
      if (varying.trace === null) return false;
    } else {
      return false;
    }
  }
  return true;
}
