import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** An EndpointSlice as a test writes it. */
export interface FakeSlice {
  readonly name: string;
  readonly service: string;
  readonly addressType?: string;
  readonly ports?: readonly object[];
  readonly endpoints: readonly object[];
}

/** An endpoint with its conditions as the API has them. */
export function endpoint(address: string, more: object = {}): object {
  return { addresses: [address], conditions: { ready: true, serving: true, terminating: false }, ...more };
}

interface Watch {
  readonly service: string;
  readonly answer: ServerResponse;
}

interface Change {
  readonly version: number;
  readonly service: string;
  readonly line: string;
}

/**
 * As much of a Kubernetes API server as EndpointSlices need, written from its documentation ("API concepts"): lists with pages, watches
 * from a version with bookmarks, 410 for what is forgotten, and the ways in which it refuses.
 */
export class FakeCluster {
  readonly token: string = "t0ken-of-a-pod";
  /** The verb is asked for each request; false: 403. */
  isAllowed: (verb: "list" | "watch") => boolean = () => true;
  /** Items of one page, whatever the client asks for. */
  pageItems: number = 500;
  readonly requests: string[] = [];
  /** Whom the server believes. */
  accepted: string = this.token;
  #server: Server | null = null;
  #port = 0;
  readonly #sockets: Set<Socket> = new Set();
  readonly #watches: Set<Watch> = new Set();
  readonly #slices: Map<string, { readonly slice: FakeSlice; readonly version: number }> = new Map();
  #changes: Change[] = [];
  #version = 100;
  #forgottenTo = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  /** Starts it, again under the same address. */
  async start(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer((request, answer) => this.#answer(request, answer));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server = server;
    await once(server.listen(this.#port, "127.0.0.1"), "listening");
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#watches.clear();
    if (server === null) return;
    const closed = once(server.close(), "close");
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  put(slice: FakeSlice): void {
    const isNew = !this.#slices.has(slice.name);
    const version = ++this.#version;
    this.#slices.set(slice.name, { slice, version });
    this.#tell(slice.service, isNew ? "ADDED" : "MODIFIED", objectOf(slice, version));
  }

  delete(name: string): void {
    const known = this.#slices.get(name);
    if (known === undefined) return;
    this.#slices.delete(name);
    this.#tell(known.slice.service, "DELETED", objectOf(known.slice, ++this.#version));
  }

  /** Sends all watches a bookmark. */
  bookmark(): void {
    const object = { kind: "EndpointSlice", metadata: { resourceVersion: String(++this.#version) } };
    this.#send(() => true, `${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }

  /** Whatever all watches get. */
  sendRaw(text: string): void {
    this.#send(() => true, text);
  }

  /** Forgets all changes up to now, as compaction does. */
  forget(): void {
    this.#forgottenTo = this.#version;
    this.#changes = [];
  }

  /** Ends all watches as a timeout of theirs does. */
  endWatches(): void {
    for (const { answer } of this.#watches) answer.end();
    this.#watches.clear();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #tell(service: string, type: string, object: object): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#changes.push({ version: this.#version, service, line });
    this.#send((watch) => watch.service === service, line);
  }

  #send(to: (watch: Watch) => boolean, text: string): void {
    for (const watch of this.#watches) if (to(watch)) watch.answer.write(text);
  }

  #answer(request: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(request.url ?? "", this.url);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    const isWatch = url.searchParams.get("watch") === "true";
    const namespace = /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(url.pathname)?.[1];
    const selector = url.searchParams.get("labelSelector") ?? "";
    const [isKnown, label = ""] = /^kubernetes\.io\/service-name(?:=(.+))?$/.exec(selector) ?? [];
    if (namespace === undefined || isKnown === undefined)
      return refuse(answer, 404, "the server could not find the resource");
    if (request.headers.authorization !== `Bearer ${this.accepted}`) return refuse(answer, 401, "Unauthorized");
    if (!this.isAllowed(isWatch ? "watch" : "list")) return refuse(answer, 403, "endpointslices is forbidden");
    const service = `${namespace}/${label}`;
    if (isWatch) this.#watch(service, Number(url.searchParams.get("resourceVersion")), answer);
    else this.#list(service, url.searchParams.get("continue"), answer);
  }

  #list(service: string, rest: string | null, answer: ServerResponse): void {
    const [version, from] = rest === null ? [this.#version, 0] : rest.split("-").map(Number);
    if (version < this.#forgottenTo) return refuse(answer, 410, "the provided continue parameter is too old");
    const isMeant = (each: string): boolean => (service.endsWith("/") ? each.startsWith(service) : each === service);
    const all = [...this.#slices.values()].filter(({ slice }) => isMeant(slice.service));
    const to = from + this.pageItems;
    const items = all.slice(from, to).map((each) => objectOf(each.slice, each.version));
    const metadata = { resourceVersion: String(version), ...(to < all.length ? { continue: `${version}-${to}` } : {}) };
    answer.setHeader("content-type", "application/json");
    answer.end(JSON.stringify({ kind: "EndpointSliceList", apiVersion: "discovery.k8s.io/v1", metadata, items }));
  }

  #watch(service: string, from: number, answer: ServerResponse): void {
    answer.writeHead(200, { "content-type": "application/json" });
    if (from < this.#forgottenTo) {
      const status = {
        kind: "Status",
        status: "Failure",
        code: 410,
        reason: "Expired",
        message: "too old resource version",
      };
      answer.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
      return;
    }
    answer.flushHeaders();
    for (const { version, line } of this.#changes.filter((change) => change.service === service)) {
      if (version > from) answer.write(line);
    }
    const watch = { service, answer };
    this.#watches.add(watch);
    answer.on("close", () => this.#watches.delete(watch));
  }
}

function refuse(answer: ServerResponse, code: number, message: string): void {
  answer.writeHead(code, { "content-type": "application/json" });
  answer.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", message, code }));
}

function objectOf({ name, service, addressType = "IPv4", ports, endpoints }: FakeSlice, version: number): object {
  const [namespace, label] = service.split("/");
  return {
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      resourceVersion: String(version),
      labels: { "kubernetes.io/service-name": label },
    },
    addressType,
    ports: ports ?? [{ name: "grpc", port: 8080, protocol: "TCP" }],
    endpoints,
  };
}
