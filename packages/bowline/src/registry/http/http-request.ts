import type { IncomingHttpHeaders } from "node:http";

/** One request. */
export interface HttpRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "PATCH";
  /** Begins with a slash, percent-encoded where needed; shown in messages. */
  readonly path: string;
  /** Encoded here; `undefined` is left out. Not shown in messages. */
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as `application/x-www-form-urlencoded`, in place of `json`. */
  readonly form?: Readonly<Record<string, string>>;
  /** Label of the one host to ask. Default: each until one answers. */
  readonly host?: string;
  /** Statuses that are an answer. Default: 200 to 299. All others are errors. */
  readonly accept?: (status: number) => boolean;
  /** For the whole answer of one host, in ms. Default: the client's. A stream: for the head of the answer. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A whole answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Label of the host that answered. */
  readonly host: string;
}

/** An answer whose body comes bit by bit: a Kubernetes watch. */
export interface HttpStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly host: string;
  /** The body as it comes. Ends with the answer, rejects with HttpError; leaving the loop ends the request. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Ends it; `chunks` rejects with `cancelled`. */
  close(): void;
}

/** What a stream needs besides. */
export interface HttpStreamRequest extends HttpRequest {
  /** A body without a byte for this time is given up, in ms. Default: no bound. */
  readonly idleTimeoutMs?: number;
}

/** A query as it goes behind a path, with its `?`; empty without a value. */
export function queryOf(query: HttpRequest["query"]): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const each of typeof value === "string" ? [value] : (value ?? [])) pairs.append(name, each);
  }
  const text = pairs.toString();
  return text === "" ? "" : `?${text}`;
}

/** The bytes of a body, undefined without one. */
export function bodyOf({ json, form }: HttpRequest): Buffer | undefined {
  if (form !== undefined) return Buffer.from(new URLSearchParams(form).toString());
  return json === undefined ? undefined : Buffer.from(JSON.stringify(json));
}

/** What HTTP says of the body. */
export function contentHeaders({ method, form }: HttpRequest, body: Buffer | undefined): Record<string, string> {
  // RFC 9110 §8.6: some servers wait for a body that a PUT does not announce as empty.
  if (body === undefined) return method === "GET" || method === "DELETE" ? {} : { "content-length": "0" };
  const type = form === undefined ? "application/json" : "application/x-www-form-urlencoded";
  return { "content-type": type, "content-length": String(body.length) };
}
