import type { Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { keyOf, type Share, SharedByKey } from "../remote/shared-by-key.ts";
import { ClusterClient } from "./client.ts";
import { checkKubernetesOptions, type KubernetesOptions, OWNER } from "./options.ts";
import { readServiceName } from "./service-name.ts";
import { SliceWatcher } from "./watcher.ts";

export type { KubernetesOptions } from "./options.ts";

/** Registries with equal options share their connections. */
const CLIENTS = new SharedByKey<ClusterClient>();

/**
 * Services of a Kubernetes cluster, by their EndpointSlices: pods that are ready, and those that are about to end as draining ones. A service is
 * `user`, `user:grpc`, `shop/user` or `shop/user:8080`.
 *
 * It is only read: the cluster itself registers pods, by their readiness. The right that it needs, list and watch of endpointslices, is named
 * by the error of a cluster that does not grant it.
 *
 * @throws TypeError or RangeError for options that can't be
 */
export function kubernetes(options: KubernetesOptions = {}): RegistryConfig {
  checkKubernetesOptions(options);
  return { name: "kubernetes", create: (context) => new KubernetesRegistry(options, context) };
}

class KubernetesRegistry implements Registry {
  readonly name: string = "kubernetes";
  readonly place: string;
  readonly #options: KubernetesOptions;
  readonly #context: RegistryContext;
  readonly #client: Share<ClusterClient>;
  readonly #watchers: Set<SliceWatcher> = new Set();
  #isClosed = false;

  constructor(options: KubernetesOptions, context: RegistryContext) {
    this.#options = options;
    this.#context = context;
    const { server = "", kubeconfig = "", context: name = "", namespace = "" } = options;
    this.place = [server, kubeconfig, name, namespace].filter((part) => part !== "").join(" ");
    const make = (): ClusterClient => new ClusterClient(options, context);
    const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, KUBECONFIG, HOME } = context.environment;
    const key = keyOf({ ...options, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, KUBECONFIG, HOME });
    this.#client = CLIENTS.acquire(context.clock, key, make, (client) => client.close());
  }

  async register(service: string): Promise<Registration> {
    throw new TypeError(
      `${OWNER}: ${JSON.stringify(service)} can't be registered, the cluster itself does that: leave the option registry of the server out, ` +
        "let the pod's readiness probe ask its health (grpc: { port }), or give another registry, such as local()",
    );
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    const read = (ownNamespace: string): ReturnType<typeof readServiceName> =>
      readServiceName(service, this.#options, ownNamespace);
    read("default");
    const onClose = (): void => void this.#watchers.delete(watcher);
    const watcher: SliceWatcher = new SliceWatcher(service, read, this.#client.value, this.#context, handler, onClose);
    this.#watchers.add(watcher);
    return watcher;
  }

  /** Services of one namespace that have endpoints: of the option, else of the own one. */
  async services(): Promise<readonly string[]> {
    this.#checkOpen();
    const client = this.#client.value;
    return client.services(this.#options.namespace ?? (await client.ownNamespace()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of [...this.#watchers]) watcher.close();
    this.#client.release();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error(`${OWNER}: closed; make another one`);
  }
}
