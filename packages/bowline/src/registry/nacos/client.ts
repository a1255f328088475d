import type { CallOptions } from "../../client/call-options.ts";
import { type Client, createClient } from "../../client/create-client.ts";
import type { Payload } from "../../gen/nacos/nacos_pb.ts";
import { BiRequestStream, type BiRequestStreamClient, Request, type RequestClient } from "../../gen/nacos/nacos_rpc.ts";
import { socketNetwork } from "../../net/network.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { HttpHost } from "../http/http-host.ts";
import { parseJsonInSlices } from "../http/json-slices.ts";
import type { RegistryContext } from "../registry-config.ts";
import { objectOf, textOf } from "../remote/instance-details.ts";
import { localAddressTowards } from "../remote/local-address.ts";
import { memberClientOptions } from "../remote/member-client.ts";
import { RequestQueue } from "../remote/request-queue.ts";
import { LOST_RETRY } from "../remote/retry.ts";
import type { NacosCredentials } from "./credentials.ts";
import { allPages, infoOf, listOf, type NacosInstance, type ServiceInfo, writtenService } from "./format.ts";
import { explainRpc, isStaleToken, NacosError, type NacosFault, refusal } from "./nacos-error.ts";
import { type CheckedNacosOptions, grpcAddress } from "./options.ts";

/** A way to one server (or, over HTTP, to all) that works until it has ended. Services go by their own names. */
export interface NacosLink {
  /** What it is, for messages: `10.0.0.1:9848`. */
  readonly host: string;
  /** Why it can't be used any more; never rejects. */
  readonly ended: Promise<NacosError>;
  /** Makes these the instances of a service that this process has registered here. Calls for one service must not overlap. */
  publish(service: string, instances: readonly NacosInstance[]): Promise<void>;
  /** Reads a service, and has changes of it pushed from now on. */
  subscribe(service: string): Promise<ServiceInfo>;
  unsubscribe(service: string): Promise<void>;
  /** Reads a service, in other clusters than those of the options if they are given. */
  query(service: string, clusters?: readonly string[]): Promise<ServiceInfo>;
  /** Names of the services in the group of the options, as Nacos knows them. */
  services(): Promise<readonly string[]>;
  /** What it has published is gone after that, at once or when the server misses it. */
  close(): void;
}

/** What a link needs of the session that opens it. */
export interface LinkContext {
  readonly options: CheckedNacosOptions;
  readonly context: RegistryContext;
  readonly credentials: NacosCredentials;
  /** The server says that a service has changed. */
  readonly onPush: (link: NacosLink, service: string, info: ServiceInfo) => void;
  /** The server did not know a published instance any more; it does again. */
  readonly onPutBack: (instance: NacosInstance) => void;
}

/** As often as Nacos's own clients do; a server gives a silent connection up after 20 s. */
const HEARTBEAT_MS = 5000;
/** Between two looks whether the server has taken the connection in. */
const SETUP_LOOK_MS = 50;
/** 5,000 instances are up to 5 MiB. */
const MAX_RECEIVE_BYTES = 67_108_864;
const LABELS = { source: "sdk", module: "naming" };
const CLIENT_VERSION = "Bowline:v1";

type Json = Readonly<Record<string, unknown>>;

/** One connection to one server by Nacos's gRPC protocol. What is registered on it lives as long as it. */
export class GrpcLink implements NacosLink {
  readonly host: string;
  readonly ended: Promise<NacosError>;
  readonly #link: LinkContext;
  readonly #clock: Clock;
  readonly #requests: Client<RequestClient>;
  readonly #streams: Client<BiRequestStreamClient>;
  readonly #outgoing: RequestQueue<ReturnType<typeof payload>> = new RequestQueue();
  readonly #closing = new AbortController();
  readonly #end: (error: NacosError) => void;
  /** By service: one of the instances that the server may hold of this process. */
  readonly #published = new Map<string, NacosInstance>();
  /** By what Nacos calls them. */
  readonly #subscribed = new Map<string, string>();
  /** By service: ends when all that was asked for so far is done. */
  readonly #turns = new Map<string, Promise<void>>();
  #clientIp = "";
  #timer: Timer | null = null;
  #isEnded = false;

  private constructor(host: HttpHost, link: LinkContext) {
    const { options, context } = link;
    this.#link = link;
    this.#clock = context.clock;
    this.host = grpcAddress(host, options.grpcPortOffset);
    const { promise, resolve } = Promise.withResolvers<NacosError>();
    this.ended = promise;
    this.#end = (error) => {
      this.#isEnded = true;
      resolve(error);
    };
    // Both clients share one connection, which is what Nacos knows a client by; the options make it this link's own.
    const own = {
      ...memberClientOptions(options, context, socketNetwork),
      maxReceiveBytes: MAX_RECEIVE_BYTES,
    };
    const target = `static:///${this.host.replaceAll("%", "%25")}`;
    this.#requests = createClient(Request, target, own);
    this.#streams = createClient(BiRequestStream, target, own);
  }

  /** Connects, logs in and waits until the server has taken the connection in. Rejects with NacosError. */
  static async open(host: HttpHost, context: LinkContext): Promise<GrpcLink> {
    const link = new GrpcLink(host, context);
    try {
      await link.#open();
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  async publish(service: string, instances: readonly NacosInstance[]): Promise<void> {
    const [first = this.#published.get(service)] = instances;
    if (first === undefined) return;
    const name = writtenService(service);
    const what = `registering ${JSON.stringify(service)}`;
    this.#published.set(service, first);
    if (instances.length === 0) {
      // Which one is of no interest: a connection has one registration in a service.
      const body = { ...this.#scope(name), type: "deregisterInstance", instance: first };
      await this.#ask("InstanceRequest", body, `deregistering ${JSON.stringify(service)}`, name);
      this.#published.delete(service);
    } else if (instances.length === 1) {
      const body = { ...this.#scope(name), type: "registerInstance", instance: instances[0] };
      await this.#ask("InstanceRequest", body, what, name);
    } else {
      const body = { ...this.#scope(name), type: "batchRegisterInstance", instances };
      await this.#ask("BatchInstanceRequest", body, what, name);
    }
  }

  subscribe(service: string): Promise<ServiceInfo> {
    return this.#inTurn(service, (name) => {
      this.#subscribed.set(name, service);
      return this.#read("SubscribeServiceRequest", name, service, { subscribe: true, clusters: this.#clusters });
    });
  }

  unsubscribe(service: string): Promise<void> {
    return this.#inTurn(service, async (name) => {
      this.#subscribed.delete(name);
      const body = { ...this.#scope(name), subscribe: false, clusters: this.#clusters };
      await this.#ask("SubscribeServiceRequest", body, `unsubscribing ${JSON.stringify(service)}`, name);
    });
  }

  query(service: string, clusters: readonly string[] = this.#link.options.clusters): Promise<ServiceInfo> {
    const more = { cluster: clusters.join(","), healthyOnly: false, udpPort: 0 };
    return this.#read("ServiceQueryRequest", writtenService(service), service, more);
  }

  services(): Promise<readonly string[]> {
    return allPages(async (pageNo, pageSize) => {
      const { namespace, group: groupName } = this.#link.options;
      const body = { namespace, serviceName: "", groupName, module: "naming", pageNo, pageSize, selector: "" };
      const { serviceNames } = await this.#ask("ServiceListRequest", body, "listing the services");
      return listOf(serviceNames);
    });
  }

  close(): void {
    if (!this.#closing.signal.aborted) {
      this.#timer?.cancel();
      this.#outgoing.end();
      this.#closing.abort();
      void this.#requests.close();
      void this.#streams.close();
    }
    this.#end(new NacosError("unreachable", `${this.host}: closed`));
  }

  get #clusters(): string {
    return this.#link.options.clusters.join(",");
  }

  /** A server may carry out two requests in any order: whoever stops to watch and begins again must not end up with nothing. */
  #inTurn<T>(service: string, work: (name: string) => Promise<T>): Promise<T> {
    const name = writtenService(service);
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(() => work(name));
    const ended = turn
      .catch(() => {
        // Told to whoever asked; the next one begins anew.
      })
      .then(() => {
        if (this.#turns.get(name) === ended) this.#turns.delete(name);
      });
    this.#turns.set(name, ended);
    return turn;
  }

  async #open(): Promise<void> {
    const { options } = this.#link;
    if (options.network === undefined) this.#clientIp = (await localAddressTowards([this.host])) ?? "";
    const { random } = this.#link.context;
    const check = (): Promise<unknown> => this.#ask("ServerCheckRequest", { module: "internal" }, "connecting");
    // Where there is another server, that one is asked.
    if (options.hosts.length > 1) await check();
    else await this.#patiently("starting", () => random() * LOST_RETRY.baseMs, check);
    void this.#receive();
    const { namespace } = options;
    const setup = {
      clientVersion: CLIENT_VERSION,
      tenant: namespace,
      labels: LABELS,
      abilityTable: {},
      module: "internal",
    };
    this.#outgoing.put(payload("ConnectionSetupRequest", setup, await this.#headers(), this.#clientIp));
    // Only releases from 2.3 on say that they have taken a connection in; of all of them it can be asked.
    await this.#patiently(
      "unregistered",
      () => SETUP_LOOK_MS,
      () => this.#checkHealth(),
    );
    this.#beatIn(HEARTBEAT_MS);
  }

  /** Asks again where the answer is this fault, for as long as a request may take. */
  async #patiently(fault: NacosFault, waitMs: () => number, ask: () => Promise<unknown>): Promise<void> {
    const end = this.#clock.fresh() + this.#link.options.requestTimeoutMs;
    for (;;) {
      try {
        await ask();
        return;
      } catch (error) {
        if (!(error instanceof NacosError) || error.fault !== fault) throw error;
        if (this.#isEnded) throw await this.ended;
        if (this.#clock.fresh() > end) {
          if (fault === "starting") throw error;
          throw new NacosError("unreachable", `connecting: ${this.host} does not take the connection in`);
        }
      }
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, waitMs()));
    }
  }

  #beatIn(delayMs: number): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = this.#clock.setTimeout(() => void this.#beat(), delayMs);
  }

  async #beat(): Promise<void> {
    try {
      await this.#checkHealth().catch((error: unknown) => {
        if (error instanceof NacosError && error.fault === "unregistered") throw error;
        return this.#checkHealth();
      });
      this.#beatIn(HEARTBEAT_MS);
    } catch (error) {
      this.#end(explainRpc(error, "heartbeat", this.host));
    }
  }

  async #checkHealth(): Promise<void> {
    await this.#ask("HealthCheckRequest", { module: "internal" }, "heartbeat");
  }

  async #read(type: string, name: string, service: string, more: Json): Promise<ServiceInfo> {
    const what = `reading ${JSON.stringify(service)}`;
    const { serviceInfo } = await this.#ask(type, { ...this.#scope(name), ...more }, what, name);
    const info = infoOf(serviceInfo);
    if (info === undefined) throw new NacosError("unreachable", `${what}: ${this.host} answered without its instances`);
    return info;
  }

  #scope(serviceName: string): Json {
    const { namespace, group: groupName } = this.#link.options;
    return { namespace, serviceName, groupName, module: "naming" };
  }

  /** A request and its answer. A token that is not taken is replaced once. */
  async #ask(type: string, body: Json, what: string, name?: string): Promise<Partial<Record<string, unknown>>> {
    const headers = await this.#headers(name);
    try {
      return await this.#askWith(type, body, what, headers);
    } catch (error) {
      if (!isStaleToken(error) || !this.#link.credentials.forget(headers.accessToken)) throw error;
    }
    return this.#askWith(type, body, what, await this.#headers(name));
  }

  async #askWith(
    type: string,
    body: Json,
    what: string,
    headers: Record<string, string>,
  ): Promise<Partial<Record<string, unknown>>> {
    const call: CallOptions = { timeoutMs: this.#link.options.requestTimeoutMs, signal: this.#closing.signal };
    let answer: Partial<Record<string, unknown>>;
    try {
      answer = await bodyOf(await this.#requests.request(payload(type, body, headers, this.#clientIp), call));
    } catch (error) {
      throw explainRpc(error, what, this.host);
    }
    const { resultCode, errorCode, message } = answer;
    if (resultCode === 200) return answer;
    const error = refusal(what, this.host, Number(errorCode ?? resultCode ?? 0), textOf(message));
    // Another connection is needed, and so another link; while it is being set up this is the usual answer.
    if (error.fault === "unregistered" && this.#timer !== null) this.#end(error);
    throw error;
  }

  #headers(name?: string): Promise<Record<string, string>> {
    const { credentials, options } = this.#link;
    return credentials.headers(name === undefined ? undefined : `${options.group}@@${name}`);
  }

  async #receive(): Promise<void> {
    try {
      const call: CallOptions = { timeoutMs: 0, signal: this.#closing.signal };
      for await (const each of this.#streams.requestBiStream(this.#outgoing, call)) {
        await this.#handle(each).catch((error: unknown) => {
          this.#link.context.report?.(explainRpc(error, "a push that can't be read", this.host));
        });
      }
      this.#end(new NacosError("unreachable", `${this.host} has ended the connection`));
    } catch (error) {
      this.#end(explainRpc(error, "receiving", this.host));
    }
  }

  async #handle(message: Payload): Promise<void> {
    const type = message.metadata?.type ?? "";
    const body = await bodyOf(message);
    if (!type.endsWith("Request")) return;
    const answer = { resultCode: 200, errorCode: 0, requestId: body.requestId, success: true };
    this.#outgoing.put(payload(type.replace(/Request$/, "Response"), answer, {}, this.#clientIp));
    if (type === "NotifySubscriberRequest") this.#notified(body);
    if (type === "ConnectResetRequest") {
      this.#end(new NacosError("unreachable", `${this.host} sends its clients to another server`));
    }
  }

  #notified({ serviceInfo, namespace }: Partial<Record<string, unknown>>): void {
    const { name, groupName } = objectOf(serviceInfo);
    const { group, namespace: own } = this.#link.options;
    const info = infoOf(serviceInfo);
    const bare = textOf(name).replace(`${group}@@`, "");
    const service = this.#subscribed.get(bare);
    const isOther = textOf(groupName || group) !== group || textOf(namespace || own) !== own;
    if (service === undefined || info === undefined || isOther) return;
    this.#link.onPush(this, service, info);
  }
}

function payload(type: string, body: Json, headers: Record<string, string>, clientIp: string) {
  return {
    metadata: { type, headers, clientIp },
    body: { typeUrl: "", value: Buffer.from(JSON.stringify(body)) },
  };
}

async function bodyOf(message: Payload): Promise<Partial<Record<string, unknown>>> {
  const bytes = message.body?.value ?? new Uint8Array();
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return objectOf(text.length === 0 ? {} : await parseJsonInSlices(text));
}
