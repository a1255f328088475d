import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import type { KubernetesOptions } from "../../packages/bowline/src/registry/kubernetes/index.ts";
import { freePorts, ServerProcess } from "./server-process.ts";

/** A Kubernetes API server with an etcd of its own: no controller, no kubelet. Tests write the EndpointSlices themselves. */
export class KubernetesServer {
  /** Of somebody whom the server knows and who may do nothing. */
  readonly strangerToken: string = randomBytes(16).toString("hex");
  readonly #token: string = randomBytes(16).toString("hex");
  readonly #apiServer: string;
  readonly #etcdProgram: string;
  #etcd: ServerProcess | null = null;
  #api: ServerProcess | null = null;
  #starting: Promise<void> | null = null;
  #port = 0;
  /** Slices of a service. */
  readonly #counts: Map<string, number> = new Map();

  constructor(apiServer: string, etcd: string) {
    this.#apiServer = apiServer;
    this.#etcdProgram = etcd;
  }

  /** For the adapter. */
  get options(): KubernetesOptions {
    return { server: `https://127.0.0.1:${this.#port}`, token: this.#token, tls: { authorities: this.#certificate } };
  }

  /** Starts both, once; they end with this process. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async startApi(): Promise<void> {
    await this.#api?.start();
  }

  async stopApi(): Promise<void> {
    await this.#api?.stop();
  }

  /** Makes these groups the slices of a service, in place of those that it has. */
  async set(service: string, groups: readonly (readonly object[])[]): Promise<void> {
    for (const [index, endpoints] of groups.entries()) await this.putSlice(service, index, endpoints);
    for (let index = groups.length; index < (this.#counts.get(service) ?? 0); index++) {
      await this.#ask("DELETE", `${SLICES}/${sliceName(service, index)}`, undefined, [200, 404]);
    }
    this.#counts.set(service, groups.length);
  }

  /** Writes one slice, new or in place of the one that is there. */
  async putSlice(service: string, index: number, endpoints: readonly object[]): Promise<void> {
    const name = sliceName(service, index);
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, labels: { "kubernetes.io/service-name": service.slice("default/".length) } },
      addressType: "IPv4",
      ports: [{ name: "grpc", port: 8080, protocol: "TCP" }],
      endpoints,
    };
    const { status } = await this.#ask("POST", SLICES, slice, [201, 409]);
    if (status === 409) await this.#ask("PUT", `${SLICES}/${name}`, slice, [200]);
  }

  /** Ends both and removes what they left. */
  async remove(): Promise<void> {
    await this.#api?.remove();
    await this.#etcd?.remove();
  }

  get #certificate(): string {
    return join(this.#etcd?.folder ?? "", "certs", "apiserver.crt");
  }

  async #start(): Promise<void> {
    const [client, peer, api] = await freePorts(3);
    this.#port = api;
    const etcdUrl = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    this.#etcd = await ServerProcess.start({
      program: this.#etcdProgram,
      args: (folder) => [
        ...["--name", "default", "--data-dir", join(folder, "etcd"), "--log-level", "error"],
        ...["--listen-client-urls", etcdUrl, "--advertise-client-urls", etcdUrl, "--listen-peer-urls", peerUrl],
        ...["--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`],
      ],
      isReady: async () => (await fetch(`${etcdUrl}/health`)).ok,
    });
    const { folder } = this.#etcd;
    writeFileSync(
      join(folder, "tokens"),
      `${this.#token},admin,admin,system:masters\n${this.strangerToken},stranger,stranger\n`,
    );
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = join(folder, "accounts.key");
    writeFileSync(key, privateKey.export({ type: "pkcs1", format: "pem" }));
    this.#api = await ServerProcess.start({
      program: this.#apiServer,
      args: () => [
        ...["--etcd-servers", etcdUrl, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"],
        ...[
          "--secure-port",
          String(api),
          "--cert-dir",
          join(folder, "certs"),
          "--token-auth-file",
          join(folder, "tokens"),
        ],
        ...["--authorization-mode", "RBAC", "--endpoint-reconciler-type", "none"],
        ...["--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://kubernetes.default.svc"],
        ...["--service-account-key-file", key, "--service-account-signing-key-file", key],
        ...["--disable-admission-plugins", "ServiceAccount"],
      ],
      isReady: async () => {
        const { status } = await this.#ask("GET", "/readyz", undefined, [200]);
        // The namespace of the tests is made by the server itself, a moment later.
        return (
          status === 200 && (await this.#ask("GET", "/api/v1/namespaces/default", undefined, [200])).status === 200
        );
      },
      readyWithinMs: 150_000,
    });
  }

  #ask(method: string, path: string, body: object | undefined, accept: readonly number[]): Promise<{ status: number }> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
      const options = {
        method,
        headers,
        host: "127.0.0.1",
        port: this.#port,
        path,
        ca: readFileSync(this.#certificate),
      };
      const sent = request(options, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        answer.on("end", () => {
          const status = answer.statusCode ?? 0;
          if (accept.includes(status)) resolve({ status });
          else reject(new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`));
        });
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

function sliceName(service: string, index: number): string {
  return `${service.slice("default/".length)}-${index}`;
}
