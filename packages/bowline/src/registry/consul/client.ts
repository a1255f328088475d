import { readFile } from "node:fs/promises";
import type { Clock } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { HttpClient } from "../http/http-client.ts";
import { HttpError } from "../http/http-error.ts";
import type { HttpAnswer, HttpRequest } from "../http/http-request.ts";
import { objectOf, textOf } from "../remote/instance-details.ts";
import { TurnTaking } from "../remote/turn-taking.ts";
import { advice, type HealthAnswer, indexOf, stateOf } from "./answers.ts";
import { type AgentServices, Continuity, type ContinuityContext } from "./continuity.ts";
import {
  type CatalogEntry,
  type CatalogNode,
  type CatalogScope,
  catalogRegistration,
  type RestartCheck,
  type ServiceDefinition,
} from "./format.ts";
import type { CheckedConsulOptions, ConsulConsistency } from "./options.ts";
import { Outage } from "./outage.ts";

/** A question for the instances of a service. */
export interface HealthQuery {
  /** Answer when the index is beyond this one; `0` answers at once. */
  readonly index: string;
  readonly waitMs: number;
  readonly consistency: ConsulConsistency;
  readonly signal: AbortSignal;
}

/** How a question is held. */
type Held = Pick<HttpRequest, "host" | "query" | "timeoutMs" | "signal">;

const OWNER = "consul registry";
const UNKNOWN_CHECK = /unknown check|does not have associated TTL/i;
/** An agent writes each change to its disk: more at a time would only wait there, and for longer than they may. */
const MAX_WRITES = 16;
/**
 * A server holds what is asked while there is no leader, and looks for one at growing intervals, up to 3.5 s (agent/consul/rpc.go): asked
 * anew it answers as soon as there is one.
 */
const MAX_HELD_MS = 1000;
/** The same for the question whether there is one. */
const MAX_LED_MS = 500;
/** A server adds up to a sixteenth, so that not all who ask are answered together. */
const HELD_LONGER = 1 + 1 / 16;
/** A service that nobody has. */
const NO_SERVICE = "bowline-none";
/** Questions that are held for what is registered. */
const HELD_FOR_ENTRIES = 2;
/** How long a token that was read from a file is believed. */
const TOKEN_MS = 10_000;

/** Consul's HTTP API, as far as a registry needs it: https://developer.hashicorp.com/consul/api-docs */
export class ConsulClient {
  /** Whoever can do nothing now waits for its end. */
  readonly outage: Outage;
  readonly continuity: Continuity;
  /** Each is told the label of an agent that may have been restarted. */
  readonly onLost: Set<(agent: string) => void> = new Set();
  readonly #options: CheckedConsulOptions;
  readonly #clock: Clock;
  readonly #http: HttpClient;
  readonly #writes = new TurnTaking(MAX_WRITES);
  readonly #closing = new AbortController();
  /** By label of the agent. */
  readonly #nodes = new Map<string, CatalogNode>();
  #token: { readonly text: string; readonly readAt: number } | undefined;

  /** @throws TypeError for TLS files that can't be used */
  constructor(options: CheckedConsulOptions, clock: Clock, random: Random, report: (error: Error) => void) {
    this.#options = options;
    this.#clock = clock;
    this.outage = new Outage({ clock, random, isOver: (signal) => this.#isLed(signal) });
    this.continuity = new Continuity((agent) => this.#continuity(agent));
    this.#http = new HttpClient({
      owner: OWNER,
      hosts: options.hosts,
      tls: options.tls,
      connectTimeoutMs: options.connectTimeoutMs,
      requestTimeoutMs: options.requestTimeoutMs,
      // Registrations must not wait behind questions that are held.
      maxConnections: options.maxConnections + HELD_FOR_ENTRIES + MAX_WRITES,
      headers: () => this.#headers(),
      onLost: (agent) => {
        this.#nodes.delete(agent);
        for (const tell of [...this.onLost]) tell(agent);
      },
      advice,
      clock,
      report,
    });
  }

  /** Labels of the agents, in the order of preference. */
  get agents(): readonly string[] {
    return this.#http.hosts.map(({ label }) => label);
  }

  /** Writes a service and its check into an agent. */
  async register(definition: ServiceDefinition, agent: string): Promise<void> {
    const path = "/v1/agent/service/register";
    const query = { ...this.#scope(), "replace-existing-checks": "true" };
    await this.#write({ method: "PUT", path, query, json: definition, host: agent });
  }

  /** Takes a service out of an agent; false if the agent did not know it. */
  async deregister(id: string, agent: string): Promise<boolean> {
    return this.#known({ method: "PUT", path: `/v1/agent/service/deregister/${encodeURIComponent(id)}`, host: agent });
  }

  /** Tells an agent that the instance lives; false if the agent does not know it. */
  async pass(id: string, agent: string): Promise<boolean> {
    const path = `/v1/agent/check/update/${encodeURIComponent(`service:${id}`)}`;
    try {
      return await this.#known({ method: "PUT", path, json: { Status: "passing" }, host: agent });
    } catch (error) {
      // Before release 1.11 it was no 404.
      if (error instanceof HttpError && error.status === 500 && UNKNOWN_CHECK.test(error.text)) return false;
      throw error;
    }
  }

  /** Whether an agent counts a check as passing. */
  async isPassing({ CheckID }: RestartCheck, agent: string): Promise<boolean> {
    const query = { ...this.#scope(), filter: `CheckID == ${JSON.stringify(CheckID)}` };
    const { value } = await this.#http.json({ method: "GET", path: "/v1/agent/checks", query, host: agent });
    return objectOf(objectOf(value)[CheckID]).Status === "passing";
  }

  /** Writes a check of a service into an agent as if it had never been there: one that is there keeps its status. */
  async replaceCheck(id: string, { CheckID, ...check }: RestartCheck, agent: string): Promise<void> {
    const path = `/v1/agent/check/deregister/${encodeURIComponent(CheckID)}`;
    await this.#known({ method: "PUT", path, host: agent });
    const json = { ...check, ID: CheckID, ServiceID: id };
    const query = this.#scope();
    await this.#write({ method: "PUT", path: "/v1/agent/check/register", query, json, host: agent });
  }

  /** Whether an agent knows a service. */
  async knows(id: string, agent: string): Promise<boolean> {
    return this.#known({ method: "GET", path: `/v1/agent/service/${encodeURIComponent(id)}`, host: agent });
  }

  /** A service as an agent knows it, if it counts as healthy there: checks pass, nothing is under maintenance. */
  async healthyService(id: string, agent: string): Promise<unknown> {
    const { value } = await this.#http.json({
      method: "GET",
      path: `/v1/agent/health/service/id/${encodeURIComponent(id)}`,
      query: this.#scope(),
      host: agent,
      accept: (status) => [200, 404, 429, 503].includes(status),
    });
    const { AggregatedStatus: status, Service: service } = objectOf(value);
    return status === "passing" ? service : undefined;
  }

  /** The entries of an id in the catalog, of whatever health. */
  async entriesOf(service: string, id: string): Promise<readonly unknown[]> {
    const query = { ...this.#scope(), filter: `Service.ID == ${JSON.stringify(id)}` };
    const path = `/v1/health/service/${encodeURIComponent(service)}`;
    const { value } = await this.#http.json({ method: "GET", path, query, timeoutMs: this.#heldMs });
    return Array.isArray(value) ? value : [];
  }

  /** Takes an entry out of the catalog, which its agent does not know any more: it would be written there again. */
  async deregisterFromCatalog({ node, id }: CatalogEntry): Promise<void> {
    await this.#tell("deregister", { Node: node, ServiceID: id, ...this.#catalogScope() });
  }

  /** Writes an entry into the catalog, which the agent of the node was told of: others would be taken out again. */
  async registerInCatalog(definition: ServiceDefinition, node: CatalogNode): Promise<void> {
    await this.#tell("register", catalogRegistration(definition, node, this.#catalogScope()));
  }

  /** The node that the catalog has an agent's entries under; `isFresh` asks whether it is another by now. */
  async nodeOf(agent: string, isFresh: boolean = false): Promise<CatalogNode> {
    const known = this.#nodes.get(agent);
    if (known !== undefined && !isFresh) return known;
    const { value, answer } = await this.#http.json({ method: "GET", path: "/v1/agent/self", host: agent });
    const { Config: config, Member: member } = objectOf(value);
    const { NodeName: name, NodeID: id } = objectOf(config);
    if (textOf(name) === "") throw notConsul("its node", answer, "that names none");
    const node = { name: textOf(name), id: textOf(id), address: textOf(objectOf(member).Addr) };
    this.#nodes.set(agent, node);
    return node;
  }

  /** What the servers have of an agent's services. */
  servicesOf(agent: string): Promise<AgentServices> {
    return this.#servicesOf(agent, { timeoutMs: this.#heldMs });
  }

  /** Changes the catalog, all or nothing. */
  async transact(operations: readonly object[]): Promise<void> {
    const query = this.#scope();
    await this.#http.request({ method: "PUT", path: "/v1/txn", query, json: operations, timeoutMs: this.#heldMs });
  }

  /** The instances of a service; held until something changes or the time is over, if the query says so. */
  async health(service: string, { index, waitMs, consistency, signal }: HealthQuery): Promise<HealthAnswer> {
    const { datacenter, tag, filter, health, requestTimeoutMs } = this.#options;
    const isHeld = index !== "0";
    const { value, answer } = await this.#http.json({
      method: "GET",
      path: `/v1/health/service/${encodeURIComponent(service)}`,
      query: {
        ...this.#scope(),
        dc: datacenter,
        tag,
        filter,
        passing: health === "passing" ? "1" : undefined,
        ...consistencyQuery(consistency),
        ...(isHeld ? { index, wait: `${waitMs}ms` } : {}),
      },
      timeoutMs: requestTimeoutMs + (isHeld ? waitMs * HELD_LONGER : 0),
      signal,
    });
    if (!Array.isArray(value)) throw notConsul(JSON.stringify(service), answer);
    return { entries: value, ...stateOf(answer, this.#options) };
  }

  /** All services of the catalog, and the tags that instances of each have. */
  async services(): Promise<ReadonlyMap<string, readonly unknown[]>> {
    const { datacenter, consistency } = this.#options;
    const query = { ...this.#scope(), dc: datacenter, ...consistencyQuery(consistency) };
    const { value, answer } = await this.#http.json({ method: "GET", path: "/v1/catalog/services", query });
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw notConsul("the catalog", answer);
    return new Map(Object.entries(value).map(([name, tags]) => [name, Array.isArray(tags) ? tags : []]));
  }

  /** Whether the servers have a leader, as far as the one that answers knows. */
  async hasLeader(signal: AbortSignal): Promise<boolean> {
    const { value } = await this.#http.json({ method: "GET", path: "/v1/status/leader", signal });
    return typeof value === "string" && value !== "";
  }

  /** A time in ms, for what should not come too often. */
  get now(): number {
    return this.#clock.fresh();
  }

  /** The address that the first agent advertises to others; empty if it does not say. */
  async agentAddress(): Promise<string> {
    const { value } = await this.#http.json({ method: "GET", path: "/v1/agent/self" });
    const member = (value as { Member?: { Addr?: unknown } } | null)?.Member?.Addr;
    return typeof member === "string" ? member : "";
  }

  /** Ends all requests. */
  close(): void {
    this.#closing.abort();
    this.continuity.close();
    this.outage.close();
    this.#http.close();
  }

  /** Whether a leader answers: servers believe in the last one for a while when it is gone. */
  async #isLed(signal: AbortSignal): Promise<boolean> {
    if (!(await this.hasLeader(signal))) return false;
    const query = { ...this.#scope(), consistent: "" };
    // Asked for the question's sake: no such node need be there.
    const question = { method: "GET", path: "/v1/health/node/bowline", query, timeoutMs: MAX_LED_MS, signal } as const;
    await this.#http.request({ ...question, accept: (status) => status < 500 });
    return true;
  }

  #continuity(agent: string): ContinuityContext {
    const { waitMs } = this.#options;
    // What takes longer is held for want of a leader, or was put to another server: asked anew it is answered sooner.
    const held = (index: string, ms: number, signal: AbortSignal): Held => {
      const query = { index, wait: `${ms}ms` };
      const timeoutMs = this.#heldMs + (index === "0" ? 0 : ms * HELD_LONGER);
      return { host: agent, query, timeoutMs, signal };
    };
    return {
      clock: this.#clock,
      outage: this.outage,
      waitMs,
      services: (...question) => this.#servicesOf(agent, held(...question)),
      stream: async (...question) => {
        const { query, ...rest } = held(...question);
        const path = `/v1/health/service/${NO_SERVICE}`;
        const request = { ...rest, method: "GET", path, query: { ...this.#scope(), ...query } } as const;
        return { index: indexOf((await this.#http.request(request)).headers) };
      },
    };
  }

  /** Any server will do: each is told of a change. */
  async #servicesOf(agent: string, { query, ...rest }: Held): Promise<AgentServices> {
    const { name } = await this.nodeOf(agent);
    const { value, answer } = await this.#http.json({
      ...rest,
      method: "GET",
      path: `/v1/catalog/node/${encodeURIComponent(name)}`,
      query: { ...this.#scope(), stale: "", ...query },
    });
    const { index, isFiltered, isAnonymous, knowsLeader } = stateOf(answer, this.#options);
    if (!knowsLeader) throw new HttpError("status", `${OWNER}: ${agent} answered without a leader`, { status: 500 });
    return { index, services: objectOf(objectOf(value).Services), isPartial: isFiltered || isAnonymous };
  }

  async #known(request: HttpRequest): Promise<boolean> {
    const accept = (status: number): boolean => (status >= 200 && status < 300) || status === 404;
    const { status } = await this.#write({ ...request, query: this.#scope(), accept });
    return status !== 404;
  }

  async #write(request: HttpRequest): Promise<HttpAnswer> {
    const turn = await this.#writes.take(this.#closing.signal);
    if (turn === undefined) throw new HttpError("cancelled", `${OWNER}: closed`);
    try {
      return await this.#http.request(request);
    } finally {
      turn.end();
    }
  }

  async #tell(what: string, json: object): Promise<void> {
    const path = `/v1/catalog/${what}`;
    await this.#write({ method: "PUT", path, query: this.#scope(), json, timeoutMs: this.#heldMs });
  }

  #catalogScope(): CatalogScope {
    return { Namespace: this.#options.namespace, Partition: this.#options.partition };
  }

  get #heldMs(): number {
    return Math.min(MAX_HELD_MS, this.#options.requestTimeoutMs);
  }

  #scope(): Record<string, string | undefined> {
    return { ns: this.#options.namespace, partition: this.#options.partition };
  }

  async #headers(): Promise<Record<string, string>> {
    const { token, tokenFile } = this.#options;
    const text = token ?? (tokenFile === undefined ? "" : await this.#tokenOf(tokenFile));
    return text === "" ? {} : { "x-consul-token": text };
  }

  /** A file that can't be read for a moment, while it is replaced, is bridged by what it said before. */
  async #tokenOf(file: string): Promise<string> {
    const now = this.#clock.fresh();
    if (this.#token !== undefined && now - this.#token.readAt < TOKEN_MS) return this.#token.text;
    try {
      const text = (await readFile(file, "utf8")).trim();
      if (!/^[\x21-\x7e]+$/.test(text)) throw new Error("it holds no token");
      this.#token = { text, readAt: now };
    } catch (cause) {
      if (this.#token === undefined) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new HttpError("cancelled", `${OWNER}: tokenFile: ${JSON.stringify(file)} can't be used: ${why}`, {
          cause,
        });
      }
    }
    return this.#token.text;
  }
}

function consistencyQuery(consistency: ConsulConsistency): Record<string, string> {
  return consistency === "default" ? {} : { [consistency]: "" };
}

function notConsul(what: string, { host }: HttpAnswer, fault: string = "that is no list"): HttpError {
  const why = `${host} answered for ${what} with JSON ${fault}; check that consul(…).hosts is Consul's API`;
  return new HttpError("malformed", `${OWNER}: ${why}`, { host });
}
