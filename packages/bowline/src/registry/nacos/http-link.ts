import type { Clock, Timer } from "../../rpc/clock.ts";
import type { HttpClient } from "../http/http-client.ts";
import { HttpError } from "../http/http-error.ts";
import type { HttpRequest } from "../http/http-request.ts";
import { parseJsonInSlices } from "../http/json-slices.ts";
import { objectOf, textOf } from "../remote/instance-details.ts";
import type { LinkContext, NacosLink } from "./client.ts";
import { allPages, infoOf, listOf, type NacosInstance, placeOf, type ServiceInfo, writtenService } from "./format.ts";
import { explainHttp, isStaleToken, NacosError, refusal } from "./nacos-error.ts";

type Query = Readonly<Record<string, string>>;

/** As often as Nacos's own clients do; an instance without a beat counts as unhealthy after 15 s, and is gone after 30 s. */
const BEAT_MS = 5000;
/** Between two looks at a service: over HTTP nobody pushes. */
const LOOK_MS = 5000;
/** `NamingResponseCode.RESOURCE_NOT_FOUND`, and `ErrorCode.INSTANCE_NOT_FOUND` of Nacos 3. */
const NOT_FOUND: ReadonlySet<number> = new Set([20404, 20004, 21003]);
/** Statuses of a release that has no such API. */
const NO_SUCH_PATH: ReadonlySet<number> = new Set([404, 405, 410, 501]);
/** Asked for to find out what a server speaks. Nobody has such a service. */
const PROBE = "bowline";

/**
 * Nacos's open API by HTTP: beats in place of a connection, looks in place of pushes. Version 1 of the API as Nacos 1 and 2 have it,
 * version 3 for Nacos 3, which has no other.
 */
export class HttpLink implements NacosLink {
  readonly ended: Promise<NacosError>;
  readonly #http: HttpClient;
  readonly #link: LinkContext;
  readonly #clock: Clock;
  readonly #isV3: boolean;
  readonly #end: (error: NacosError) => void;
  /** By service, then by what Nacos tells instances apart by. */
  readonly #published = new Map<string, Map<string, NacosInstance>>();
  readonly #subscribed = new Set<string>();
  #beatTimer: Timer | null = null;
  #lookTimer: Timer | null = null;
  #isEnded = false;
  #isClosed = false;

  private constructor(http: HttpClient, link: LinkContext, isV3: boolean) {
    this.#http = http;
    this.#link = link;
    this.#clock = link.context.clock;
    this.#isV3 = isV3;
    const { promise, resolve } = Promise.withResolvers<NacosError>();
    this.ended = promise;
    this.#end = (error) => {
      this.#isEnded = true;
      this.#beatTimer?.cancel();
      this.#lookTimer?.cancel();
      resolve(error);
    };
    this.#beatIn();
    this.#lookIn();
  }

  /** Finds out what the servers speak. Rejects with NacosError. */
  static async open(http: HttpClient, link: LinkContext): Promise<HttpLink> {
    const accept = (status: number): boolean => status < 300 || status === 403 || NO_SUCH_PATH.has(status);
    try {
      const query = { serviceName: PROBE };
      const headers = await link.credentials.headers(`DEFAULT_GROUP@@${PROBE}`);
      const { status } = await http.request({ method: "GET", path: "/v1/ns/instance/list", query, headers, accept });
      return new HttpLink(http, link, NO_SUCH_PATH.has(status));
    } catch (error) {
      throw explainHttp(error);
    }
  }

  get host(): string {
    return this.#http.preferredHost;
  }

  async publish(service: string, instances: readonly NacosInstance[]): Promise<void> {
    const name = writtenService(service);
    const before = this.#published.get(service) ?? new Map<string, NacosInstance>();
    const after = new Map(instances.map((instance) => [placeOf(instance), instance]));
    // Counted before it is known: what does not answer may have taken it.
    this.#published.set(service, new Map([...before, ...after]));
    const changed = [...after].filter(([key, instance]) => before.get(key) !== instance);
    const gone = [...before].filter(([key]) => !after.has(key));
    await Promise.all(changed.map(([, instance]) => this.#register(name, instance)));
    await Promise.all(gone.map(([, instance]) => this.#deregister(name, instance)));
    if (after.size === 0) this.#published.delete(service);
    else this.#published.set(service, after);
  }

  subscribe(service: string): Promise<ServiceInfo> {
    this.#subscribed.add(service);
    return this.query(service);
  }

  async unsubscribe(service: string): Promise<void> {
    this.#subscribed.delete(service);
  }

  async query(service: string, clusters: readonly string[] = this.#link.options.clusters): Promise<ServiceInfo> {
    const name = writtenService(service);
    const what = `reading ${JSON.stringify(service)}`;
    const query = { ...this.#scope(name), clusters: clusters.join(","), healthyOnly: "false" };
    const answer = await this.#ask("GET", `${this.#base}/list`, query, what, name);
    // Version 3 has a list, and no time in it.
    const info = infoOf(Array.isArray(answer) ? { hosts: answer } : answer);
    if (info === undefined) throw new NacosError("unreachable", `${what}: ${this.host} answered without its instances`);
    return info;
  }

  /** Version 3 has a list for those only who administer it. */
  services(): Promise<readonly string[]> {
    const { namespace: namespaceId, group } = this.#link.options;
    const path = this.#isV3 ? "/v3/admin/ns/service/list" : "/v1/ns/service/list";
    const more: Query = this.#isV3 ? { groupNameParam: group, ignoreEmptyService: "true" } : { groupName: group };
    return allPages(async (pageNo, pageSize) => {
      const query = { namespaceId, pageNo: String(pageNo), pageSize: String(pageSize), ...more };
      const { doms, pageItems } = objectOf(await this.#ask("GET", path, query, "listing the services", ""));
      if (!this.#isV3) return listOf(doms);
      // The group is looked for as a part of names.
      return listOf(pageItems).map((each) => (objectOf(each).groupName === group ? objectOf(each).name : undefined));
    });
  }

  /** Of what `old` has registered this link has from now on what is wanted; the rest is taken out, and `old` is closed. */
  takeOver(old: HttpLink, isWanted: (service: string, instance: NacosInstance) => boolean): void {
    for (const [service, instances] of old.#published) {
      const own = this.#published.get(service) ?? new Map<string, NacosInstance>();
      for (const [key, instance] of instances) {
        if (!isWanted(service, instance)) continue;
        instances.delete(key);
        // Not the same object: who publishes it here registers it again, for the server may have lost it.
        own.set(key, { ...instance });
      }
      if (own.size > 0) this.#published.set(service, own);
    }
    old.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#end(new NacosError("unreachable", `${this.host}: closed`));
    for (const [service, instances] of this.#published) {
      for (const instance of instances.values()) {
        this.#deregister(writtenService(service), instance).catch(() => {
          // It is gone when its beats are missed.
        });
      }
    }
  }

  get #base(): string {
    return this.#isV3 ? "/v3/client/ns/instance" : "/v1/ns/instance";
  }

  async #register(name: string, instance: NacosInstance): Promise<void> {
    await this.#ask("POST", this.#base, this.#fields(name, instance), `registering at ${placeOf(instance)}`, name);
  }

  async #deregister(name: string, instance: NacosInstance): Promise<void> {
    const { ip, port, clusterName } = instance;
    const query = { ...this.#scope(name), ip, port: String(port), clusterName, ephemeral: "true" };
    await this.#ask("DELETE", this.#base, query, `deregistering ${placeOf(instance)}`, name);
  }

  #fields(name: string, instance: NacosInstance): Query {
    const { ip, port, weight, clusterName, metadata } = instance;
    return {
      ...this.#scope(name),
      ip,
      port: String(port),
      weight: String(weight),
      enabled: "true",
      healthy: "true",
      ephemeral: "true",
      clusterName,
      metadata: JSON.stringify(metadata),
    };
  }

  #scope(serviceName: string): Query {
    const { namespace: namespaceId, group: groupName } = this.#link.options;
    return { namespaceId, groupName, serviceName };
  }

  #beatIn(): void {
    this.#beatTimer = this.#clock.setTimeout(() => void this.#beatAll(), BEAT_MS);
  }

  async #beatAll(): Promise<void> {
    const beats = [...this.#published].flatMap(([service, instances]) =>
      [...instances.values()].map((instance) => this.#beat(writtenService(service), instance)),
    );
    try {
      await Promise.all(beats);
      if (!this.#isEnded) this.#beatIn();
    } catch (error) {
      this.#end(explainHttp(error));
    }
  }

  /** What a server does not know any more is put back. */
  async #beat(name: string, instance: NacosInstance): Promise<void> {
    let code: unknown;
    if (this.#isV3) {
      const query = { ...this.#fields(name, instance), heartBeat: "true" };
      code = await this.#code("POST", this.#base, query, name);
    } else {
      const { namespace: namespaceId, group: groupName } = this.#link.options;
      const { ip, port, clusterName } = instance;
      const serviceName = `${groupName}@@${name}`;
      const query = { namespaceId, groupName, serviceName, ip, port: String(port), clusterName, ephemeral: "true" };
      code = await this.#code("PUT", `${this.#base}/beat`, query, name);
    }
    if (typeof code !== "number" || !NOT_FOUND.has(code) || this.#isEnded) return;
    await this.#register(name, instance);
    this.#link.onPutBack(instance);
  }

  #lookIn(): void {
    this.#lookTimer = this.#clock.setTimeout(() => void this.#lookAll(), LOOK_MS);
  }

  async #lookAll(): Promise<void> {
    const looks = [...this.#subscribed].map(async (service) => {
      const info = await this.query(service);
      if (!this.#isEnded && this.#subscribed.has(service)) this.#link.onPush(this, service, info);
    });
    const failed = (await Promise.allSettled(looks)).filter((each) => each.status === "rejected");
    if (this.#isEnded) return;
    const isOut = failed.find(({ reason }) => reason instanceof NacosError && reason.fault === "unreachable");
    if (isOut !== undefined) this.#end(isOut.reason as NacosError);
    else this.#lookIn();
  }

  async #code(method: HttpRequest["method"], path: string, query: Query, name: string): Promise<unknown> {
    return objectOf(await this.#raw(method, path, query, name)).code;
  }

  /** The answer's JSON, `data` of it in version 3; undefined for what is none, such as `ok`. */
  async #ask(method: HttpRequest["method"], path: string, query: Query, what: string, name: string): Promise<unknown> {
    const answer = await this.#raw(method, path, query, name);
    if (!this.#isV3) return answer;
    const { code, message, data } = objectOf(answer);
    if (code === 0) return data ?? undefined;
    throw refusal(what, this.host, V3_FAULTS.get(Number(code)) ?? Number(code), textOf(message));
  }

  async #raw(method: HttpRequest["method"], path: string, query: Query, name: string): Promise<unknown> {
    const grouped = `${this.#link.options.group}@@${name}`;
    const headers = await this.#link.credentials.headers(grouped);
    try {
      return await this.#send({ method, path, query, headers });
    } catch (error) {
      const explained = explainHttp(error);
      if (!isStaleToken(explained) || !this.#link.credentials.forget(headers.accessToken)) throw explained;
    }
    try {
      return await this.#send({ method, path, query, headers: await this.#link.credentials.headers(grouped) });
    } catch (error) {
      throw explainHttp(error);
    }
  }

  async #send({ query, ...request }: HttpRequest & { query: Query }): Promise<unknown> {
    const isForm = request.method === "POST" || request.method === "PUT";
    // Version 3 says in the body of a 404 that an instance is gone.
    const accept = (status: number): boolean => status < 300 || (this.#isV3 && status === 404);
    const { body } = await this.#http.request({ ...request, accept, ...(isForm ? { form: query } : { query }) });
    if (body[0] !== 0x7b && body[0] !== 0x5b) return undefined;
    try {
      return await parseJsonInSlices(body);
    } catch (cause) {
      const text = `${request.method} ${request.path}: ${this.host} answered with what is no JSON`;
      throw new HttpError("malformed", `nacos registry: ${text}; check that nacos(…).hosts is Nacos's API`, { cause });
    }
  }
}

/** `ErrorCode` of Nacos 3 in the numbers of its gRPC: no right, and what it will never take. */
const V3_FAULTS: ReadonlyMap<number, number> = new Map([
  [10001, 403],
  [10000, 400],
  [20002, 400],
  [21000, 400],
  [21001, 400],
  [21002, 400],
  [21004, 400],
]);
