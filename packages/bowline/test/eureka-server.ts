import { answerJson, answerText, HttpPeer, type PeerRequest } from "./http-peer.ts";

/** An instance as a client registered it, with what the server adds. */
export interface EurekaInstance {
  readonly instanceId: string;
  readonly app: string;
  status: string;
  actionType?: string;
  lastDirtyTimestamp?: string;
  readonly [field: string]: unknown;
}

/**
 * An Eureka server of a test, made from https://github.com/Netflix/eureka/wiki/Eureka-REST-operations: leases that never end, deltas
 * with `apps__hashcode`, and the rule that the status of a known instance is changed by an override only.
 */
export class EurekaServer {
  readonly peer: HttpPeer;
  /** By application and id. */
  readonly apps: Map<string, Map<string, EurekaInstance>> = new Map();
  /** What the next delta holds; a server forgets it after three minutes. */
  changes: EurekaInstance[] = [];
  /** In place of the true one. */
  hash: string | undefined;
  /** How answers are written: lists of one as that one, numbers and booleans as texts. */
  isOldFormat = false;
  /** True: it has taken the request upon itself. */
  intercept: (request: PeerRequest) => boolean = () => false;

  private constructor(peer: HttpPeer) {
    this.peer = peer;
    peer.handler = (request) => this.#handle(request);
  }

  static async start(tls?: Parameters<typeof HttpPeer.start>[1]): Promise<EurekaServer> {
    return new EurekaServer(await HttpPeer.start(() => {}, tls));
  }

  get address(): string {
    return this.peer.address;
  }

  /** Questions for applications so far: `all` or `delta`. */
  get questions(): string[] {
    return this.peer.requests.flatMap(({ method, path }) =>
      method !== "GET" ? [] : path.endsWith("/apps") ? ["all"] : path.endsWith("/delta") ? ["delta"] : [],
    );
  }

  /** Puts instances in, as other clients would have. */
  put(...instances: readonly EurekaInstance[]): void {
    for (const instance of instances) {
      const app = this.apps.get(instance.app) ?? new Map<string, EurekaInstance>();
      this.apps.set(instance.app, app.set(instance.instanceId, instance));
      instance.actionType = "ADDED";
      this.changes.push(instance);
    }
  }

  /** Takes an instance out; `isTold`: the delta says so. */
  remove(app: string, id: string, isTold: boolean = true): boolean {
    const instance = this.apps.get(app)?.get(id);
    if (instance === undefined) return false;
    this.apps.get(app)?.delete(id);
    instance.actionType = "DELETED";
    if (isTold) this.changes.push(instance);
    return true;
  }

  close(): Promise<void> {
    return this.peer.close();
  }

  #handle(request: PeerRequest): void {
    if (this.intercept(request)) return;
    const { method, response } = request;
    const [base, apps, app, id, status] = request.path.split("/").slice(1).map(decodeURIComponent);
    if (base !== "eureka" || apps !== "apps") return answerText(response, 404, "Not Found");
    if (method === "GET" && app !== undefined && app !== "delta") {
      const instances = [...(this.apps.get(app)?.values() ?? [])];
      return instances.length === 0
        ? answerText(response, 404)
        : answerJson(response, this.#application(app, instances));
    }
    if (method === "GET") {
      const shown =
        app === "delta"
          ? groups(this.changes)
          : [...this.apps].map(([name, each]) => ({ name, instances: [...each.values()] }));
      return answerJson(response, this.#applications(shown));
    }
    if (method === "POST") {
      this.#register((JSON.parse(request.body) as { instance: EurekaInstance }).instance);
      return answerText(response, 204);
    }
    const known = this.apps.get(app)?.get(id);
    if (known === undefined) return answerText(response, 404);
    if (status === "status") this.#override(known, method === "PUT" ? (request.query.get("value") ?? "") : "UP");
    else if (method === "DELETE") this.remove(app, id);
    else if (Number(request.query.get("lastDirtyTimestamp")) > Number(known.lastDirtyTimestamp))
      return answerText(response, 404);
    answerText(response, 200);
  }

  /** `AbstractInstanceRegistry.register` and its rule `LeaseExistsRule`. */
  #register(instance: EurekaInstance): void {
    const known = this.apps.get(instance.app)?.get(instance.instanceId);
    if (known !== undefined && Number(known.lastDirtyTimestamp) > Number(instance.lastDirtyTimestamp)) return;
    this.put({ ...instance, status: known?.status ?? instance.status });
  }

  #override(instance: EurekaInstance, status: string): void {
    instance.status = status;
    instance.actionType = "MODIFIED";
    this.changes.push(instance);
  }

  #application(name: string, instances: readonly EurekaInstance[]): object {
    const shown = instances.map((each) => (this.isOldFormat ? old(each) : each));
    return { application: { name, instance: this.isOldFormat && shown.length === 1 ? shown[0] : shown } };
  }

  #applications(apps: readonly { name: string; instances: readonly EurekaInstance[] }[]): object {
    const counts = new Map<string, number>();
    for (const app of this.apps.values()) {
      for (const { status } of app.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    const hash = [...counts]
      .sort()
      .map(([status, count]) => `${status}_${count}_`)
      .join("");
    const one = (list: readonly unknown[]): unknown => (this.isOldFormat && list.length === 1 ? list[0] : list);
    const application = apps.map(({ name, instances }) => ({
      name,
      instance: one(instances.map((each) => (this.isOldFormat ? old(each) : each))),
    }));
    return { applications: { versions__delta: "1", apps__hashcode: this.hash ?? hash, application: one(application) } };
  }
}

function groups(instances: readonly EurekaInstance[]): { name: string; instances: EurekaInstance[] }[] {
  const byName = new Map<string, EurekaInstance[]>();
  for (const each of instances) byName.set(each.app, [...(byName.get(each.app) ?? []), each]);
  return [...byName].map(([name, list]) => ({ name, instances: list }));
}

function old(instance: EurekaInstance): object {
  const text = (value: unknown): unknown =>
    typeof value === "object" && value !== null && "$" in value ? { ...value, $: String(value.$) } : value;
  return { ...instance, port: text(instance.port), securePort: text(instance.securePort) };
}
