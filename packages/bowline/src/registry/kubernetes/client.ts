import { HttpClient } from "../http/http-client.ts";
import { readHttpHosts } from "../http/http-host.ts";
import type { HttpStream } from "../http/http-request.ts";
import type { RegistryContext } from "../registry-config.ts";
import { type ClusterAccess, findCluster } from "./access.ts";
import { readSlice, type Slice } from "./endpoint-slice.ts";
import { type KubernetesOptions, OWNER } from "./options.ts";
import type { ServiceName } from "./service-name.ts";

/** All slices of a service at one time. */
export interface SliceList {
  readonly slices: readonly Slice[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
  /** Items of the answer that are no slices. */
  readonly strangers: number;
}

/** Items of one answer of a list: 500 slices of 100 endpoints are some 15 MiB at most. */
const PAGE_ITEMS = 500;
/** Half a million slices: a server that names one page after another for longer is out of order. */
const MAX_PAGES = 1000;
/** The server ends a watch after 5 to 10 minutes, at another time for each client (as client-go asks it to). */
const MIN_WATCH_SECONDS = 300;
/** A watch with bookmarks hears something each minute; one that hears nothing for longer is dead. */
const WATCH_IDLE_MS = 150_000;
const LIST_ATTEMPTS = 3;
/** The label that ties slices to their Service ("EndpointSlices: Ownership"). */
const SERVICE_LABEL = "kubernetes.io/service-name";

/** What is needed of the API of a cluster: EndpointSlices, listed and watched (discovery.k8s.io/v1). */
export class ClusterClient {
  readonly #options: KubernetesOptions;
  readonly #context: RegistryContext;
  #access: Promise<ClusterAccess> | null = null;
  #http: Promise<HttpClient> | null = null;
  #current: HttpClient | null = null;
  #isClosed = false;

  constructor(options: KubernetesOptions, context: RegistryContext) {
    this.#options = options;
    this.#context = context;
  }

  /** Of services whose name says none. Rejects when there is no cluster to ask. */
  async ownNamespace(): Promise<string> {
    return (await this.#cluster()).namespace;
  }

  /** The address of this machine that reaches the cluster; empty before the first answer. */
  get localAddress(): string {
    return this.#current?.localAddress ?? "";
  }

  /** All slices of a service, as the cluster has them now (not as a cache of some server had them). Rejects with what failed. */
  async list(service: ServiceName): Promise<SliceList> {
    return untilWhole(() => this.#listOnce(service));
  }

  /** Names of the services of a namespace that have endpoints, ready or not, sorted. Rejects with what failed. */
  services(namespace: string): Promise<readonly string[]> {
    return untilWhole(async () => {
      const names = new Set<string>();
      await this.#readPages(namespace, SERVICE_LABEL, (item) => {
        const { metadata, endpoints } = item as { metadata?: ItemMetadata; endpoints?: unknown };
        const name = metadata?.labels?.[SERVICE_LABEL];
        if (typeof name === "string" && Array.isArray(endpoints) && endpoints.length > 0) names.add(name);
      });
      return [...names].sort();
    });
  }

  /** What changes after `resourceVersion`: lines of JSON, `{type, object}`. Rejects with what failed, with status 410 for a version that is too old. */
  async watch(service: ServiceName, resourceVersion: string): Promise<HttpStream> {
    const http = await this.#client();
    return this.#withToken(() =>
      http.stream({
        method: "GET",
        path: pathOf(service.namespace),
        query: {
          labelSelector: selectorOf(service),
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion,
          timeoutSeconds: String(Math.round(MIN_WATCH_SECONDS * (1 + this.#context.random()))),
        },
        idleTimeoutMs: WATCH_IDLE_MS,
      }),
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#current?.close();
  }

  async #listOnce(service: ServiceName): Promise<SliceList> {
    const slices: Slice[] = [];
    let strangers = 0;
    const resourceVersion = await this.#readPages(service.namespace, selectorOf(service), (item) => {
      const slice = readSlice(item);
      if (slice === undefined) strangers++;
      else slices.push(slice);
    });
    return { slices, resourceVersion, strangers };
  }

  /** Tells each item of a list; `selector` is one of labels. Gives the version of the list. */
  async #readPages(namespace: string, selector: string, tell: (item: unknown) => void): Promise<string> {
    const http = await this.#client();
    const path = pathOf(namespace);
    let rest: string | undefined;
    for (let page = 1; ; page++) {
      const query = { labelSelector: selector, limit: String(PAGE_ITEMS), continue: rest };
      const { value } = await this.#withToken(() => http.json({ method: "GET", path, query }));
      const { metadata, items } = value as { metadata?: ListMetadata; items?: unknown };
      if (!Array.isArray(items) || typeof metadata?.resourceVersion !== "string") {
        throw new Error(`${OWNER}: the answer to GET ${path} is no list of EndpointSlices; check the server`);
      }
      for (const item of items) tell(item);
      const next = metadata.continue || undefined;
      if (next === undefined) return metadata.resourceVersion;
      if (next === rest) throw endless(path, "names the same next page twice");
      if (page === MAX_PAGES) throw endless(path, `goes on after ${MAX_PAGES} pages`);
      rest = next;
    }
  }

  /** A token may have been renewed while it was on its way: a refused one is read again, once. */
  async #withToken<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const { token } = await this.#cluster();
      if ((error as { status?: unknown }).status !== 401 || token === undefined) throw error;
      token.forget();
      return ask();
    }
  }

  /** What could not be found may be there the next time: a token that is mounted late, a file that is being written. */
  #cluster(): Promise<ClusterAccess> {
    this.#access ??= findCluster(this.#options, this.#context).catch((error: unknown) => {
      this.#access = null;
      throw error;
    });
    return this.#access;
  }

  async #client(): Promise<HttpClient> {
    this.#http ??= this.#open().catch((error: unknown) => {
      this.#http = null;
      throw error;
    });
    return this.#http;
  }

  async #open(): Promise<HttpClient> {
    const access = await this.#cluster();
    const { connectTimeoutMs, requestTimeoutMs = 10_000 } = this.#options;
    const { clock, report } = this.#context;
    const client = new HttpClient({
      owner: OWNER,
      hosts: readHttpHosts(access.server, { owner: OWNER, option: "server", port: 443, isTls: true }),
      tls: access.tls,
      requestTimeoutMs,
      headers: async () => {
        const token = await access.token?.get();
        const none: Record<string, string> = {};
        return token === undefined ? none : { authorization: `Bearer ${token}` };
      },
      advice: (status) => advice(status, access),
      clock,
      ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
      ...(report === undefined ? {} : { report }),
    });
    if (this.#isClosed) client.close();
    this.#current = client;
    return client;
  }
}

interface ListMetadata {
  readonly resourceVersion?: string;
  readonly continue?: string;
}

interface ItemMetadata {
  readonly labels?: Readonly<Record<string, unknown>>;
}

/** The version that the pages of a list belong to may be forgotten between two of them. */
async function untilWhole<T>(list: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await list();
    } catch (error) {
      if (!isGone(error) || attempt === LIST_ATTEMPTS) throw error;
    }
  }
}

/** True for "410 Gone": the version that was asked for is forgotten. */
export function isGone(error: unknown): boolean {
  return (error as { status?: unknown }).status === 410;
}

function endless(path: string, why: string): Error {
  return new Error(`${OWNER}: the list of GET ${path} ${why}; check the server`);
}

function pathOf(namespace: string): string {
  return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
}

function selectorOf({ name }: ServiceName): string {
  return `${SERVICE_LABEL}=${name}`;
}

function advice(status: number, { source, namespace }: ClusterAccess): string | undefined {
  if (status === 401) return `the credentials of ${source} are not accepted; renew them`;
  if (status === 404)
    return "the server has no EndpointSlices: Kubernetes 1.21 or newer is needed, or it is no Kubernetes";
  if (status !== 403) return undefined;
  return `${source} may not list and watch endpointslices (discovery.k8s.io); this grants it:\n${roleFor(namespace)}`;
}

/** What to `kubectl apply` so that the pods of a namespace may look services up. */
export function roleFor(namespace: string): string {
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: bowline-discovery }
rules:
  - { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: bowline-discovery-${namespace} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bowline-discovery }
subjects:
  - { kind: ServiceAccount, name: default, namespace: ${namespace} }`;
}
