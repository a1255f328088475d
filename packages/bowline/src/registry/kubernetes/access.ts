import { readFile } from "node:fs/promises";
import type { Clock } from "../../rpc/clock.ts";
import type { HttpTlsSettings } from "../http/http-tls.ts";
import type { RegistryContext } from "../registry-config.ts";
import { type KubernetesOptions, OWNER } from "./options.ts";
import { fileToken, type TokenSource } from "./token.ts";

/** How to ask the API server of a cluster, and as whom. */
export interface ClusterAccess {
  /** `https://10.0.0.1:6443`. */
  readonly server: string;
  readonly tls: HttpTlsSettings;
  /** Of services whose name says none. */
  readonly namespace: string;
  /** Where this comes from, for messages: `the pod's service account`. */
  readonly source: string;
  /** The bearer token; undefined when a client certificate stands for it. */
  readonly token: TokenSource | undefined;
}

/** Where Kubernetes puts what a pod may know of itself ("Accessing the Kubernetes API from a Pod"). */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Finds the cluster: what the options name, the own cluster of a pod, what kubectl would use. Rejects with what is missing. */
export async function findCluster(options: KubernetesOptions, context: RegistryContext): Promise<ClusterAccess> {
  const { server, token, tokenFile, tls = {} } = options;
  const { environment, clock } = context;
  if (server !== undefined) {
    const source = "the option server";
    const held =
      token === undefined ? fileToken(tokenFile, clock) : { get: async () => token, forget: () => undefined };
    return { server, tls, namespace: "default", source, token: held };
  }
  const host = environment.KUBERNETES_SERVICE_HOST;
  if (host !== undefined && host !== "" && options.kubeconfig === undefined && options.context === undefined) {
    return ownCluster(host, environment.KUBERNETES_SERVICE_PORT ?? "443", clock);
  }
  const { readKubeConfig } = await import("./kube-config.ts");
  return readKubeConfig(options, context);
}

async function ownCluster(host: string, port: string, clock: Clock): Promise<ClusterAccess> {
  const namespace = await readFile(`${ACCOUNT}/namespace`, "utf8").catch((error: Error) => {
    throw new Error(
      `${OWNER}: this pod has no service account (${error.message}): set automountServiceAccountToken: true in its spec`,
    );
  });
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tls: { authorities: `${ACCOUNT}/ca.crt` },
    namespace: namespace.trim(),
    source: "the pod's service account",
    token: fileToken(`${ACCOUNT}/token`, clock),
  };
}
