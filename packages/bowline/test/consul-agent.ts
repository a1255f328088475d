import { answerJson, answerText, HttpPeer, type PeerRequest } from "./http-peer.ts";

/** An entry as `PUT /v1/agent/service/register` brought it. */
export interface AgentEntry {
  readonly ID: string;
  readonly Name: string;
  readonly [field: string]: unknown;
}

interface Held {
  readonly service: string;
  readonly index: bigint;
  answer(): void;
}

/**
 * A Consul agent of a test, made from https://developer.hashicorp.com/consul/api-docs: services of one agent, checks that pass, blocking
 * queries with an index. Tests may change its answers: `intercept` comes first.
 */
export class ConsulAgent {
  readonly peer: HttpPeer;
  /** By id. */
  readonly entries: Map<string, AgentEntry> = new Map();
  /** Status by check id; what is not there passes. */
  readonly status: Map<string, string> = new Map();
  /** Set on answers about health. */
  readonly headers: Record<string, string> = {};
  /** True: it has taken the request upon itself. */
  intercept: (request: PeerRequest) => boolean = () => false;
  /** Every change of the catalog makes it grow. */
  index = 10n;
  /** Questions of health, as `service index`. */
  readonly questions: string[] = [];
  readonly #held = new Set<Held>();
  /** Ids that the servers have lost while the agent knows them. */
  readonly #untold = new Set<string>();
  /** What the servers have instead of some of these. */
  readonly #older = new Map<string, AgentEntry>();
  /** Questions that are held for entries, by what they are answered from. */
  readonly #kept = { servers: new Set<() => void>(), stream: new Set<() => void>() };

  private constructor(peer: HttpPeer) {
    this.peer = peer;
    peer.handler = (request) => this.#handle(request);
  }

  static async start(tls?: Parameters<typeof HttpPeer.start>[1]): Promise<ConsulAgent> {
    return new ConsulAgent(await HttpPeer.start(() => {}, tls));
  }

  get address(): string {
    return this.peer.address;
  }

  /** How many questions are held now. */
  get held(): number {
    return this.#held.size;
  }

  /** Puts entries in, as another process would have. */
  put(...entries: readonly AgentEntry[]): void {
    for (const entry of entries) this.entries.set(entry.ID, entry);
    this.changed();
  }

  /** Takes an entry out behind its owner's back. */
  lose(id: string): void {
    this.entries.delete(id);
    this.changed();
  }

  /** Sets what the check of an entry says. */
  setStatus(id: string, status: string): void {
    this.status.set(`service:${id}`, status);
    this.changed();
  }

  /** The index grows, and questions that are held are answered. */
  changed(): void {
    this.index++;
    for (const held of [...this.#held]) held.answer();
  }

  /** Answers the questions that are held, whatever the index. */
  answerHeld(): void {
    for (const held of [...this.#held]) held.answer();
  }

  /** It ends and begins again with the services that it had: checks that nobody ever updated fail. */
  restart(): void {
    for (const id of this.entries.keys()) this.status.set(`restart:${id}`, "critical");
    this.changed();
    this.peer.cut();
  }

  /** The servers get a snapshot from before all that the agent knows, but for these entries of then: the agent notices nothing. */
  restoreServers(...older: readonly AgentEntry[]): void {
    this.#loseAll();
    for (const entry of older) this.#older.set(entry.ID, entry);
    this.index = 5n;
    for (const answer of [...this.#kept.servers]) answer();
  }

  /** The servers end and begin again without their data, before the agent has put its questions to another. */
  replaceServers(): void {
    this.#loseAll();
    this.index = 5n;
    for (const answer of [...this.#kept.stream]) answer();
  }

  /** How many questions are held for entries now. */
  get kept(): number {
    return this.#kept.servers.size + this.#kept.stream.size;
  }

  /** Ids that the servers don't have. */
  get untold(): readonly string[] {
    return [...this.#untold];
  }

  close(): Promise<void> {
    return this.peer.close();
  }

  #loseAll(): void {
    for (const id of this.entries.keys()) this.#untold.add(id);
  }

  #handle(request: PeerRequest): void {
    if (this.intercept(request)) return;
    const { method, response } = request;
    const path = decodeURIComponent(request.path);
    const after = (prefix: string): string | undefined =>
      path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
    if (path === "/v1/health/service/bowline-none") return this.#stream(request);
    if (path === "/v1/catalog/node/test") return this.#node(request);
    const service = after("/v1/health/service/");
    if (service !== undefined) return this.#health(service, request);
    if (path === "/v1/catalog/services") return answerJson(response, this.#catalog());
    if (path === "/v1/status/leader") return answerJson(response, "127.0.0.1:8300");
    if (path === "/v1/health/node/bowline") return answerJson(response, []);
    if (path === "/v1/agent/self")
      return answerJson(response, { Config: { NodeName: "test" }, Member: { Addr: "10.1.2.3" } });
    if (path === "/v1/catalog/register") {
      const { Service } = JSON.parse(request.body) as { Service: { ID: string } };
      this.#untold.delete(Service.ID);
      this.changed();
      return answerText(response, 200, "true");
    }
    if (path === "/v1/agent/service/register") {
      const entry = JSON.parse(request.body) as AgentEntry;
      this.status.delete(`service:${entry.ID}`);
      this.#untold.delete(entry.ID);
      this.put(entry);
      return answerText(response, 200);
    }
    const gone = after("/v1/agent/service/deregister/");
    if (gone !== undefined && method === "PUT") return this.#known(gone, response, () => this.lose(gone));
    const beating = after("/v1/agent/check/update/service:");
    if (beating !== undefined) return this.#known(beating, response, () => {});
    if (path === "/v1/agent/checks") return answerJson(response, this.#checks());
    const dropped = after("/v1/agent/check/deregister/");
    if (dropped !== undefined) {
      this.status.delete(dropped);
      return answerText(response, 200);
    }
    if (path === "/v1/agent/check/register") {
      const { ServiceID } = JSON.parse(request.body) as { ServiceID: string };
      return this.#known(ServiceID, response, () => this.changed());
    }
    const judged = after("/v1/agent/health/service/id/");
    if (judged !== undefined) return this.#judged(judged, response);
    const read = after("/v1/agent/service/");
    if (read !== undefined) return this.#known(read, response, () => {});
    answerText(response, 404, "Invalid URL path: not a recognized HTTP API endpoint");
  }

  #known(id: string, response: PeerRequest["response"], action: () => void): void {
    if (!this.entries.has(id)) return answerText(response, 404, `Unknown service ID ${JSON.stringify(id)}`);
    action();
    answerText(response, 200);
  }

  #judged(id: string, response: PeerRequest["response"]): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return answerJson(response, {}, 404);
    const { Service, Checks } = this.shownEntry(entry);
    const isPassing = Checks.every(({ Status }) => Status === "passing");
    answerJson(response, { AggregatedStatus: isPassing ? "passing" : "critical", Service }, isPassing ? 200 : 503);
  }

  /** By id; only of those that are checked for restarts. */
  #checks(): Record<string, { Status: string }> {
    const ids = [...this.entries.keys()].map((id) => `restart:${id}`);
    return Object.fromEntries(ids.map((id) => [id, { Status: this.status.get(id) ?? "passing" }]));
  }

  #catalog(): Record<string, string[]> {
    const tags = new Map<string, string[]>([["consul", []]]);
    for (const { Name, Tags } of this.entries.values()) {
      tags.set(Name, [...(tags.get(Name) ?? []), ...((Tags as string[] | undefined) ?? [])]);
    }
    return Object.fromEntries(tags);
  }

  #health(service: string, { query, response }: PeerRequest): void {
    const index = BigInt(query.get("index") ?? "0");
    this.questions.push(`${service} ${index}`);
    const answer = (): void => {
      this.#held.delete(held);
      const found = [...this.entries.values()]
        .filter(({ Name, ID }) => Name === service && !this.#untold.has(ID))
        .map((entry) => this.shownEntry(entry));
      const isPassing = (entry: ReturnType<ConsulAgent["shownEntry"]>): boolean =>
        entry.Checks.every(({ Status }) => Status === "passing");
      const shown = query.has("passing") ? found.filter(isPassing) : found;
      answerJson(response, shown, 200, {
        "x-consul-index": String(this.index),
        "x-consul-knownleader": "true",
        ...this.headers,
      });
    };
    const held: Held = { service, index, answer };
    if (index === 0n || index < this.index) return answer();
    this.#held.add(held);
    response.once("close", () => this.#held.delete(held));
  }

  #stream({ query, response }: PeerRequest): void {
    const headers = { "x-consul-index": String(this.index) };
    if (query.get("index") === "0") return answerJson(response, [], 200, headers);
    const broken = (): void => answerText(response, 503, "error reading from server: EOF");
    this.#keep(this.#kept.stream, query, response, broken, () => answerJson(response, [], 200, headers));
  }

  #node({ query, response }: PeerRequest): void {
    const index = BigInt(query.get("index") ?? "0");
    // What a question that is held is answered from is what the servers had.
    const told = [...this.entries.values()].flatMap((entry) => {
      return this.#untold.has(entry.ID) ? (this.#older.get(entry.ID) ?? []) : entry;
    });
    const Services = Object.fromEntries(told.map((entry) => [entry.ID, this.shownEntry(entry).Service]));
    const headers = { "x-consul-index": String(this.index), ...this.headers };
    const answer = (): void => answerJson(response, { Node: { Node: "test" }, Services }, 200, headers);
    if (index === 0n || index < this.index) return answer();
    this.#keep(this.#kept.servers, query, response, answer, answer);
  }

  #keep(
    kept: Set<() => void>,
    query: URLSearchParams,
    response: PeerRequest["response"],
    answer: () => void,
    over: () => void,
  ): void {
    const forget = (): void => {
      kept.delete(answerOnce);
      clearTimeout(timer);
    };
    const timer = setTimeout(
      () => {
        forget();
        over();
      },
      Number.parseInt(query.get("wait") ?? "", 10),
    );
    const answerOnce = (): void => {
      forget();
      answer();
    };
    kept.add(answerOnce);
    response.once("close", forget);
  }

  /** An entry as questions of health show it. */
  shownEntry(entry: AgentEntry): { Node: object; Service: object; Checks: { Status: string }[] } {
    const { Name, Check: _check, Checks: _checks, ...service } = entry;
    const statuses = ["service", "restart"].map((kind) => this.status.get(`${kind}:${entry.ID}`) ?? "passing");
    return {
      Node: { Node: "test", Address: "10.1.2.3", Datacenter: "dc1" },
      Service: { Service: Name, Address: "", Port: 0, ...service },
      Checks: [{ Status: "passing" }, ...statuses.map((Status) => ({ Status }))],
    };
  }
}
