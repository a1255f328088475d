import type { Clock } from "../../rpc/clock.ts";
import { HttpClient } from "../http/http-client.ts";
import { HttpError } from "../http/http-error.ts";
import type { HttpRequest } from "../http/http-request.ts";
import { TurnTaking } from "../remote/turn-taking.ts";
import { appName, type InstanceBody, readApplications } from "./format.ts";
import type { CheckedEurekaOptions } from "./options.ts";

/** What `readApplications` gives. */
export type Applications = NonNullable<ReturnType<typeof readApplications>>;

const OWNER = "eureka registry";
/** Registrations and renewals at a time; a server sends each on to its peers. */
const MAX_WRITES = 16;

/** Eureka's REST API, version 2: https://github.com/Netflix/eureka/wiki/Eureka-REST-operations */
export class EurekaClient {
  readonly #http: HttpClient;
  readonly #writes = new TurnTaking(MAX_WRITES);
  readonly #closing = new AbortController();

  /** @throws TypeError for TLS files that can't be used */
  constructor(options: CheckedEurekaOptions, clock: Clock, report: (error: Error) => void) {
    const { user, password = "" } = options;
    const headers: Record<string, string> =
      user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
    this.#http = new HttpClient({
      owner: OWNER,
      hosts: options.hosts,
      tls: options.tls,
      connectTimeoutMs: options.connectTimeoutMs,
      requestTimeoutMs: options.requestTimeoutMs,
      maxConnections: MAX_WRITES + 4,
      headers: () => headers,
      advice,
      clock,
      report,
    });
  }

  /** All applications. */
  async all(signal: AbortSignal = this.#closing.signal): Promise<Applications> {
    return this.#applications("/apps", signal);
  }

  /** What has changed in the last minutes; undefined where the server gives no deltas. */
  async changes(signal: AbortSignal): Promise<Applications | undefined> {
    try {
      return await this.#applications("/apps/delta", signal);
    } catch (error) {
      // `disableDelta` of a server; and servers of others that have none.
      if (error instanceof HttpError && (error.status === 403 || error.status === 404)) return undefined;
      throw error;
    }
  }

  /** One application; empty if the server has none of that name. */
  async one(app: string, signal: AbortSignal): Promise<readonly unknown[]> {
    const path = `/apps/${encodeURIComponent(app)}`;
    try {
      const { value } = await this.#http.json({ method: "GET", path, signal });
      const { application } = (value ?? {}) as { application?: unknown };
      return readApplications({ applications: { application } })?.apps[0]?.instances ?? [];
    } catch (error) {
      if (error instanceof HttpError && error.status === 404) return [];
      throw error;
    }
  }

  /** Writes an instance, in place of what is there if that is older. */
  async register(service: string, body: InstanceBody): Promise<void> {
    await this.#write({ method: "POST", path: pathOf(service), json: body });
  }

  /** Renews the lease; false if the server does not know the instance, or knows one that is older than `dirtyMs`. */
  async renew(service: string, id: string, dirtyMs: number): Promise<boolean> {
    return this.#known({ method: "PUT", path: pathOf(service, id), query: { lastDirtyTimestamp: String(dirtyMs) } });
  }

  /** Takes an instance out; false if the server did not know it. */
  async cancel(service: string, id: string): Promise<boolean> {
    return this.#known({ method: "DELETE", path: pathOf(service, id) });
  }

  /** Sets the status that counts above the instance's own, or takes that back; false if the server does not know the instance. */
  async override(service: string, id: string, isOut: boolean, dirtyMs: number): Promise<boolean> {
    const query = { value: isOut ? "OUT_OF_SERVICE" : "UP", lastDirtyTimestamp: String(dirtyMs) };
    return this.#known({ method: isOut ? "PUT" : "DELETE", path: `${pathOf(service, id)}/status`, query });
  }

  /** Ends all requests. */
  close(): void {
    this.#closing.abort();
    this.#http.close();
  }

  async #applications(path: string, signal: AbortSignal): Promise<Applications> {
    const { value, answer } = await this.#http.json({ method: "GET", path, signal });
    const read = readApplications(value);
    if (read !== undefined) return read;
    const why = `${answer.host} answered with JSON that has no applications; check that eureka(…).hosts is Eureka's API, with its path`;
    throw new HttpError("malformed", `${OWNER}: GET ${path}: ${why}`, { host: answer.host });
  }

  async #known(request: HttpRequest): Promise<boolean> {
    const accept = (status: number): boolean => (status >= 200 && status < 300) || status === 404;
    return (await this.#write({ ...request, accept })) !== 404;
  }

  async #write(request: HttpRequest): Promise<number> {
    const turn = await this.#writes.take(this.#closing.signal);
    if (turn === undefined) throw new HttpError("cancelled", `${OWNER}: closed`);
    try {
      return (await this.#http.request({ ...request, headers: { accept: "application/json" } })).status;
    } finally {
      turn.end();
    }
  }
}

function pathOf(service: string, id?: string): string {
  const app = `/apps/${encodeURIComponent(appName(service))}`;
  return id === undefined ? app : `${app}/${encodeURIComponent(id)}`;
}

/** What to change when a server refuses. */
function advice(status: number): string | undefined {
  if (status === 401) return "set eureka(…).user and eureka(…).password";
  if (status === 403)
    return "this user may not do it; in Spring Cloud's server, exempt /eureka/** from CSRF protection";
  if (status === 404) return "write the path of its API behind the host, as in http://10.0.0.1:8761/eureka";
  return undefined;
}
