import { createServer, type Server, type ServerContext } from "bowline";
import type { MemoryNetwork } from "bowline/testing";
import type { Payload } from "../../packages/bowline/src/gen/nacos/nacos_pb.ts";
import { BiRequestStream, Request } from "../../packages/bowline/src/gen/nacos/nacos_rpc.ts";

type Json = Record<string, unknown>;

/** The instances of all services, by service and then by the connection that registered them. Servers of one cluster have one store. */
export class NacosStore {
  readonly services: Map<string, Map<string, readonly Json[]>> = new Map();
  readonly #listeners = new Set<(service: string) => void>();
  /** The time of the last change, which all servers agree on. */
  time = 1;

  /** Makes these what `owner` has in a service. */
  set(service: string, owner: string, instances: readonly Json[]): void {
    let byOwner = this.services.get(service);
    if (byOwner === undefined) this.services.set(service, (byOwner = new Map()));
    if (instances.length === 0) byOwner.delete(owner);
    else byOwner.set(owner, instances);
    this.time++;
    for (const listener of [...this.#listeners]) listener(service);
  }

  /** Names of services, also of those that have become empty: a server forgets them later. */
  page({ pageNo, pageSize }: Json): readonly string[] {
    const [number, size] = [Number(pageNo), Number(pageSize)];
    return [...this.services.keys()].slice((number - 1) * size, number * size);
  }

  hosts(service: string): readonly Json[] {
    return [...(this.services.get(service)?.values() ?? [])].flat();
  }

  /** Takes out all that a connection has. */
  forget(owner: string): void {
    for (const [service, byOwner] of this.services) if (byOwner.has(owner)) this.set(service, owner, []);
  }

  onChange(listener: (service: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** A client's connection, known from its stream on. */
interface Connection {
  readonly id: string;
  readonly setup: Json;
  readonly subscribed: Set<string>;
  send(type: string, body: Json): void;
  end(): void;
}

/** What a server answers in place of its work. */
export interface Refusal {
  readonly errorCode: number;
  readonly message: string;
}

const decoder = new TextDecoder();

/**
 * A Nacos server that does what a test tells it to, by what Nacos's clients and servers say to each other on the gRPC port. Nacos 2.0
 * takes connections in silently; 2.3 and 3 say so (`saysSetup`).
 */
export class NacosDouble {
  readonly store: NacosStore;
  readonly host: string;
  /** Requests so far, by type. */
  readonly counts: Record<string, number> = {};
  /** Asked before the work of a request; undefined lets it go on. */
  readonly refusals: Partial<Record<string, (body: Json, headers: Record<string, string>) => Refusal | undefined>> = {};
  /** Answers of clients to what was sent to them, by type. */
  readonly acknowledged: Json[] = [];
  saysSetup = true;
  losesPushes = false;
  /** Takes no connection in. */
  isFull = false;
  /** Headers of the last request of each type. */
  readonly headers: Record<string, Record<string, string>> = {};
  readonly #network: MemoryNetwork;
  readonly #connections = new Map<string, Connection>();
  #server: Server | null = null;
  #unlisten: () => void = () => {};
  #requestId = 0;

  constructor(network: MemoryNetwork, host: string, store: NacosStore = new NacosStore()) {
    this.#network = network;
    this.host = host;
    this.store = store;
  }

  get connections(): readonly Connection[] {
    return [...this.#connections.values()];
  }

  async start(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({
      listen: this.host.replace(/[0-9]+$/, (port) => String(Number(port) + 1000)),
      network: this.#network,
      handleSignals: false,
      drainAcceptMs: 0,
      drainTimeoutMs: 0,
    });
    server.add(Request, { request: (request, context) => this.#request(request, context) });
    server.add(BiRequestStream, { requestBiStream: (requests, context) => this.#stream(requests, context) });
    this.#server = server;
    this.#unlisten = this.store.onChange((service) => this.#push(service));
    await server.start();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#unlisten();
    this.cut();
    await server?.close();
  }

  /** Ends all connections. */
  cut(): void {
    for (const connection of this.connections) connection.end();
  }

  /** Sends a request to each client. */
  sendAll(type: string, body: Json): void {
    for (const connection of this.connections) connection.send(type, { ...body, requestId: String(++this.#requestId) });
  }

  /** Forgets its clients without telling them. */
  forgetConnections(): void {
    for (const { id } of this.connections) {
      this.#connections.delete(id);
      this.store.forget(id);
    }
  }

  #request(request: Payload, context: ServerContext) {
    const type = request.metadata?.type ?? "";
    const body = bodyOf(request);
    const headers = { ...request.metadata?.headers };
    this.counts[type] = (this.counts[type] ?? 0) + 1;
    this.headers[type] = headers;
    const refusal = this.refusals[type]?.(body, headers);
    if (refusal !== undefined) return answer(type, { resultCode: 500, ...refusal });
    if (type === "ServerCheckRequest") return answer(type, { connectionId: context.peer.remoteAddress });
    const connection = this.#connections.get(context.peer.remoteAddress);
    if (connection === undefined) {
      return answer(type, { resultCode: 500, errorCode: 301, message: "Connection is unregistered." });
    }
    return answer(type, this.#work(type, body, connection));
  }

  #work(type: string, body: Json, connection: Connection): Json {
    const service = String(body.serviceName);
    switch (type) {
      case "HealthCheckRequest":
        return {};
      case "InstanceRequest":
        this.store.set(service, connection.id, body.type === "registerInstance" ? [body.instance as Json] : []);
        return {};
      case "BatchInstanceRequest":
        this.store.set(service, connection.id, body.instances as Json[]);
        return {};
      case "SubscribeServiceRequest":
        if (body.subscribe === true) connection.subscribed.add(service);
        else connection.subscribed.delete(service);
        return { serviceInfo: this.#info(service) };
      case "ServiceQueryRequest":
        return { serviceInfo: this.#info(service) };
      case "ServiceListRequest":
        return { count: this.store.services.size, serviceNames: this.store.page(body) };
      default:
        return { resultCode: 500, errorCode: 302, message: "Request not found" };
    }
  }

  #info(service: string): Json {
    const hosts = this.store.hosts(service).map((host) => ({ healthy: true, enabled: true, ...host }));
    return { name: service, groupName: "DEFAULT_GROUP", clusters: "", hosts, lastRefTime: this.store.time };
  }

  #push(service: string): void {
    if (this.losesPushes) return;
    for (const connection of this.connections) {
      if (!connection.subscribed.has(service)) continue;
      connection.send("NotifySubscriberRequest", { namespace: "public", serviceInfo: this.#info(service) });
    }
  }

  async *#stream(requests: AsyncIterable<Payload>, context: ServerContext) {
    const id = context.peer.remoteAddress;
    const outgoing: ReturnType<typeof envelope>[] = [];
    let isEnded = false;
    let wake = (): void => {};
    const end = (): void => {
      isEnded = true;
      this.#connections.delete(id);
      this.store.forget(id);
      wake();
    };
    const send = (type: string, body: Json): void => {
      outgoing.push(envelope(type, body));
      wake();
    };
    context.signal.addEventListener("abort", end, { once: true });
    void this.#listen(requests, { id, setup: {}, subscribed: new Set(), send, end });
    while (!isEnded) {
      const next = outgoing.shift();
      if (next !== undefined) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async #listen(requests: AsyncIterable<Payload>, connection: Connection): Promise<void> {
    try {
      for await (const request of requests) {
        const type = request.metadata?.type ?? "";
        const body = bodyOf(request);
        if (type !== "ConnectionSetupRequest") this.acknowledged.push({ type, ...body });
        else if (this.isFull) connection.send("ConnectResetRequest", {});
        else {
          this.#connections.set(connection.id, { ...connection, setup: body });
          if (this.saysSetup && body.abilityTable !== undefined) {
            connection.send("SetupAckRequest", { abilityTable: { supportPersistentInstanceByGrpc: true } });
          }
        }
      }
    } catch {
      // The connection is gone.
    }
    connection.end();
  }
}

function bodyOf(payload: Payload): Json {
  const text = decoder.decode(payload.body?.value ?? new Uint8Array());
  return text === "" ? {} : (JSON.parse(text) as Json);
}

function answer(type: string, body: Json) {
  return envelope(type.replace(/Request$/, "Response"), { resultCode: 200, errorCode: 0, success: true, ...body });
}

function envelope(type: string, body: Json) {
  return { metadata: { type }, body: { typeUrl: "", value: Buffer.from(JSON.stringify(body)) } };
}
