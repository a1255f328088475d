import { isIPv4 } from "node:net";
import type { Clock } from "../../rpc/clock.ts";
import { beginningOf, chunksOf, wholeBody } from "./http-body.ts";
import { HttpConnections } from "./http-connections.ts";
import { excerpt, HttpError } from "./http-error.ts";
import { type ExchangeHead, exchange } from "./http-exchange.ts";
import type { HttpHost } from "./http-host.ts";
import {
  bodyOf,
  contentHeaders,
  type HttpAnswer,
  type HttpRequest,
  type HttpStream,
  type HttpStreamRequest,
  queryOf,
} from "./http-request.ts";
import { type HttpTlsSettings, openHttpTls } from "./http-tls.ts";
import { parseJsonInSlices } from "./json-slices.ts";

/** What an HTTP client of a registry is made of; `HttpClientDefaults` says what is left out. */
export interface HttpClientOptions {
  /** Begins each message: `consul registry`. */
  readonly owner: string;
  /** Of `readHttpHosts`, tried in this order until one answers; that one is asked first from then on. */
  readonly hosts: readonly HttpHost[];
  /** For the hosts that speak https. Default: the authorities that come with Node, no certificate of our own. */
  readonly tls?: HttpTlsSettings;
  /** For a connection to one host, TLS included, in ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For the whole answer of one host, in ms; a request may ask for another. Default 5000. */
  readonly requestTimeoutMs?: number;
  /** Of an answer. Default 64 MiB. */
  readonly maxBodyBytes?: number;
  /** To one host; further requests wait for one of them. Streams don't count. Default 64. */
  readonly maxConnections?: number;
  /** Sent with each request, such as a token; asked for each time, so that it may change. Never part of a message. */
  readonly headers?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** What to change when a host answers with this status and text: ends the message. Default: nothing. */
  readonly advice?: (status: number, text: string) => string | undefined;
  readonly clock: Clock;
  /** Told the label of a host that has ended a connection which was kept for the next request: it may have been restarted. */
  readonly onLost?: (host: string) => void;
  /** Told when new certificate files can't be used. */
  readonly report?: (error: Error) => void;
}

/** The values of options that are not given. */
export const HTTP_DEFAULTS: {
  readonly connectTimeoutMs: 3000;
  readonly requestTimeoutMs: 5000;
  readonly maxBodyBytes: 67_108_864;
  readonly maxConnections: 64;
} = { connectTimeoutMs: 3000, requestTimeoutMs: 5000, maxBodyBytes: 67_108_864, maxConnections: 64 };

/**
 * A client of registries that speak HTTP/1.1: keeps connections, bounds times and sizes, goes on to the next host when one
 * can't be reached or answers "not now" (`HttpError.isTransient`), follows no redirect, and tells what failed in one
 * HttpError. Requests must be repeatable: one that failed without an answer may have been carried out.
 */
export class HttpClient {
  readonly hosts: readonly HttpHost[];
  readonly #options: HttpClientOptions;
  readonly #connections: HttpConnections;
  /** Ends requests that run when the client is closed. */
  readonly #closing = new AbortController();
  #preferred = 0;
  #localAddress = "";

  /** @throws TypeError for TLS files that can't be used */
  constructor(options: HttpClientOptions) {
    this.hosts = options.hosts;
    this.#options = options;
    const needsTls = options.hosts.some((host) => host.isTls) && options.tls !== undefined;
    const report = options.report ?? (() => {});
    const tls = needsTls ? openHttpTls(options.owner, options.tls ?? {}, options.clock, report) : undefined;
    const maxConnections = options.maxConnections ?? HTTP_DEFAULTS.maxConnections;
    this.#connections = new HttpConnections(tls, maxConnections, options.onLost ?? (() => {}));
  }

  /** The address of this machine that the last answer came to, without a port; empty before the first. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** Label of the host that is asked first. */
  get preferredHost(): string {
    return this.hosts[this.#preferred].label;
  }

  /** Asks for a whole answer. Rejects with HttpError; of several hosts with the error of each. */
  request(request: HttpRequest): Promise<HttpAnswer> {
    return this.#tryHosts(request, (host) => this.#ask(host, request));
  }

  /** Asks for a whole answer that is JSON, parsed in slices. Rejects with HttpError, of kind `malformed` if it is none. */
  async json(request: HttpRequest): Promise<{ readonly value: unknown; readonly answer: HttpAnswer }> {
    return this.#tryHosts(request, async (host) => {
      const answer = await this.#ask(host, { ...request, headers: { accept: "application/json", ...request.headers } });
      try {
        return { value: await parseJsonInSlices(answer.body), answer };
      } catch (cause) {
        const shown = answer.body.length === 0 ? "nothing" : JSON.stringify(excerpt(answer.body, 80));
        const why = `${host.label} answered with ${shown} where JSON was expected; check that ${this.#name("hosts")} is the registry's API`;
        throw this.#error("malformed", request, why, { host: host.label, status: answer.status, cause });
      }
    });
  }

  /** Asks for an answer that goes on. Rejects with HttpError as `request`. */
  stream(request: HttpStreamRequest): Promise<HttpStream> {
    return this.#tryHosts(request, async (host) => {
      const head = await this.#head(host, request, request.timeoutMs ?? this.#requestTimeoutMs, true);
      return this.#streamOf(host, request, head);
    });
  }

  /** Ends all requests; they reject with `cancelled`. */
  close(): void {
    this.#closing.abort();
    this.#connections.close();
  }

  get #requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs ?? HTTP_DEFAULTS.requestTimeoutMs;
  }

  async #tryHosts<T>(request: HttpRequest, ask: (host: HttpHost) => Promise<T>): Promise<T> {
    const errors: HttpError[] = [];
    for (const host of this.#candidates(request)) {
      try {
        const result = await ask(host);
        if (request.host === undefined) this.#preferred = this.hosts.indexOf(host);
        return result;
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        errors.push(error);
        if (!error.isTransient && error.kind !== "tls") break;
      }
    }
    throw errors.length === 1 ? errors[0] : this.#allFailed(request, errors);
  }

  #candidates(request: HttpRequest): readonly HttpHost[] {
    const { hosts } = this;
    if (request.host === undefined) return [...hosts.slice(this.#preferred), ...hosts.slice(0, this.#preferred)];
    const host = hosts.find(({ label }) => label === request.host);
    if (host === undefined) throw new TypeError(`${this.#options.owner}: ${request.host} is none of its hosts`);
    return [host];
  }

  /** The last error decides on the kind: it is what all the others were worth trying on for. */
  #allFailed(request: HttpRequest, errors: readonly HttpError[]): HttpError {
    const last = errors[errors.length - 1];
    const subject = `${this.#subject(request)}: `;
    const each = errors.map(({ message }) => (message.startsWith(subject) ? message.slice(subject.length) : message));
    const { status, text } = last;
    return new HttpError(last.kind, `${subject}${each.join("; ")}`, {
      status,
      text,
      cause: new AggregateError(errors),
    });
  }

  async #ask(host: HttpHost, request: HttpRequest): Promise<HttpAnswer> {
    const timeoutMs = request.timeoutMs ?? this.#requestTimeoutMs;
    const deadline = this.#options.clock.fresh() + timeoutMs;
    const head = await this.#head(host, request, timeoutMs, false);
    const left = Math.max(1, deadline - this.#options.clock.fresh());
    const timer = this.#options.clock.setTimeout(() => {
      head.abort(
        this.#error("timeout", request, `${host.label} did not finish its answer within ${timeoutMs} ms`, {
          host: host.label,
        }),
      );
    }, left);
    try {
      const maxBytes = this.#options.maxBodyBytes ?? HTTP_DEFAULTS.maxBodyBytes;
      const body = await wholeBody(head, maxBytes, () => this.#tooLarge(host, request, maxBytes));
      return { status: head.message.statusCode ?? 0, headers: head.message.headers, body, host: host.label };
    } finally {
      timer.cancel();
    }
  }

  async #head(host: HttpHost, request: HttpRequest, headTimeoutMs: number, isStream: boolean): Promise<ExchangeHead> {
    const body = bodyOf(request);
    const { signal } = request;
    const head = await exchange(this.#connections, this.#options.clock, {
      host,
      method: request.method,
      path: request.path + queryOf(request.query),
      headers: { ...(await this.#options.headers?.()), ...contentHeaders(request, body), ...request.headers },
      body,
      subject: this.#subject(request),
      connectTimeoutMs: Math.min(this.#options.connectTimeoutMs ?? HTTP_DEFAULTS.connectTimeoutMs, headTimeoutMs),
      headTimeoutMs,
      isStream,
      signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
    });
    this.#localAddress = withoutMapping(head.localAddress);
    const status = head.message.statusCode ?? 0;
    const isAnswer = request.accept?.(status) ?? (status >= 200 && status < 300);
    if (!isAnswer) throw await this.#unwanted(host, request, head, status);
    return head;
  }

  async #unwanted(host: HttpHost, request: HttpRequest, head: ExchangeHead, status: number): Promise<HttpError> {
    const { location } = head.message.headers;
    if (status >= 300 && status < 400 && location !== undefined) {
      const end = this.#error("redirect", request, this.#redirectWords(host, status, location), {
        host: host.label,
        status,
      });
      head.abort(end);
      return end;
    }
    const body = await beginningOf(head, this.#options.clock, this.#requestTimeoutMs);
    const text = excerpt(body);
    const advice = this.#options.advice?.(status, text);
    const words = `${host.label} answered ${status}${text === "" ? "" : ` (${text})`}${advice === undefined ? "" : `: ${advice}`}`;
    return this.#error("status", request, words, { host: host.label, status, text });
  }

  #redirectWords(host: HttpHost, status: number, location: string): string {
    const url = URL.canParse(location, "http://unknown") ? new URL(location, `http://${host.label}`) : undefined;
    // Without its user, password and query, which may be secret.
    const shown = url === undefined ? "elsewhere" : `${url.protocol}//${url.host}${url.pathname}`;
    return `${host.label} answered ${status} and points to ${shown}, which is not followed; set ${this.#name("hosts")} to where the registry's API is`;
  }

  #tooLarge(host: HttpHost, request: HttpRequest, maxBytes: number): HttpError {
    const why = `${host.label} answered with more than the ${maxBytes} bytes that are allowed`;
    return this.#error("too-large", request, why, { host: host.label });
  }

  #streamOf(host: HttpHost, request: HttpStreamRequest, head: ExchangeHead): HttpStream {
    const { statusCode: status = 0, headers } = head.message;
    const words = (why: string): string => `${host.label} ${why}`;
    const { idleTimeoutMs } = request;
    const idle = (): void =>
      head.abort(this.#error("timeout", request, words(`sent nothing for ${idleTimeoutMs} ms`), { host: host.label }));
    return {
      status,
      headers,
      host: host.label,
      chunks: chunksOf(head, this.#options.clock, idleTimeoutMs, idle),
      close: () => head.abort(this.#error("cancelled", request, "given up", { host: host.label })),
    };
  }

  #subject({ method, path }: HttpRequest): string {
    return `${this.#options.owner}: ${method} ${path}`;
  }

  #name(option: string): string {
    return `${this.#options.owner.replace(/ registry$/, "")}(…).${option}`;
  }

  #error(
    kind: HttpError["kind"],
    request: HttpRequest,
    why: string,
    details: ConstructorParameters<typeof HttpError>[2],
  ): HttpError {
    return new HttpError(kind, `${this.#subject(request)}: ${why}`, details);
  }
}

/** `::ffff:10.0.0.7` is how a socket of both families shows an IPv4 address. */
function withoutMapping(address: string): string {
  const mapped = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : "";
  return isIPv4(mapped) ? mapped : address;
}
