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

  close(): Promise<void> {
    return this.peer.close();
  }

  #handle(request: PeerRequest): void {
    if (this.intercept(request)) return;
    const { method, response } = request;
    const path = decodeURIComponent(request.path);
    const after = (prefix: string): string | undefined =>
      path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
    const service = after("/v1/health/service/");
    if (service !== undefined) return this.#health(service, request);
    if (path === "/v1/catalog/services") return answerJson(response, this.#catalog());
    if (path === "/v1/status/leader") return answerJson(response, "127.0.0.1:8300");
    if (path === "/v1/health/node/bowline") return answerJson(response, []);
    if (path === "/v1/agent/self")
      return answerJson(response, { Config: { NodeName: "test" }, Member: { Addr: "10.1.2.3" } });
    if (path === "/v1/agent/service/register") {
      const entry = JSON.parse(request.body) as AgentEntry;
      this.status.delete(`service:${entry.ID}`);
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
    const read = after("/v1/agent/service/");
    if (read !== undefined) return this.#known(read, response, () => {});
    answerText(response, 404, "Invalid URL path: not a recognized HTTP API endpoint");
  }

  #known(id: string, response: PeerRequest["response"], action: () => void): void {
    if (!this.entries.has(id)) return answerText(response, 404, `Unknown service ID ${JSON.stringify(id)}`);
    action();
    answerText(response, 200);
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
        .filter(({ Name }) => Name === service)
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
