import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endpoint, FakeCluster } from "../../../test/fake-cluster.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { seededRandom } from "../../rpc/random.ts";
import type { Registry } from "../registry.ts";
import { readRemoteTarget } from "../remote-target.ts";
import { type KubernetesOptions, kubernetes } from "./kubernetes.ts";
import { fromTarget } from "./target.ts";

const cluster = new FakeCluster();
const opened: Registry[] = [];
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bowline-k8s-"));
  await cluster.start();
  cluster.accepted = cluster.token;
  cluster.isAllowed = () => true;
  cluster.pageItems = 500;
  cluster.requests.length = 0;
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((registry) => registry.close()));
  await cluster.stop();
  await rm(folder, { recursive: true });
});

let services = 0;
/** A service that no other test has. */
function fresh(): string {
  services++;
  return `shop/user-${services}`;
}

function registry(options: KubernetesOptions = {}, environment: Record<string, string> = {}): Registry {
  const context = { clock: systemClock, random: seededRandom(1), environment };
  const made = kubernetes({ server: cluster.url, token: cluster.token, ...options }).create(context);
  opened.push(made);
  return made;
}

function watch(service: string, options: KubernetesOptions = {}): WatchRecorder {
  return new WatchRecorder(registry(options), service);
}

const one = (service: string, ...addresses: readonly string[]): Parameters<FakeCluster["put"]>[0] => ({
  name: `${service.split("/")[1]}-a`,
  service,
  endpoints: addresses.map((address) => endpoint(address)),
});

describe("a service in a cluster", () => {
  it("is listed, then watched: what changes is told", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    cluster.put(one(service, "10.0.0.1", "10.0.0.2"));
    const { instances, revision, freshness } = await seen.untilIds("10.0.0.1", "10.0.0.2");
    expect(instances[1]).toMatchObject({ addresses: [{ address: "10.0.0.2:8080", network: "" }], state: "ready" });
    expect([revision, freshness]).toEqual([2, "live"]);
    cluster.delete(one(service).name);
    expect((await seen.untilIds()).freshness).toBe("live");
    const [list, follow] = cluster.requests;
    expect(list).toContain("labelSelector=kubernetes.io%2Fservice-name%3D");
    expect(follow).toMatch(/watch=true&allowWatchBookmarks=true&resourceVersion=\d+&timeoutSeconds=[3-6]\d\d$/);
  });

  it("comes in several pages", async () => {
    const service = fresh();
    cluster.pageItems = 2;
    for (let number = 1; number <= 5; number++) {
      cluster.put({ ...one(service, `10.0.0.${number}`), name: `${service.split("/")[1]}-${number}` });
    }
    await watch(service).untilIds("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5");
    expect(cluster.requests.filter((line) => line.includes("continue="))).toHaveLength(2);
  });

  it("goes on from a bookmark when the watch ends, without another list", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    await until(() => cluster.watchCount === 1);
    cluster.bookmark();
    // A change behind the bookmark: once it is told, the bookmark has been read.
    cluster.put(one(service, "10.0.0.2"));
    await seen.untilIds("10.0.0.2");
    cluster.endWatches();
    await until(() => cluster.watchCount === 1);
    cluster.put(one(service, "10.0.0.3"));
    await seen.untilIds("10.0.0.3");
    expect(cluster.requests.filter((line) => !line.includes("watch="))).toHaveLength(1);
    expect(seen.snapshots.every(({ freshness }) => freshness === "live")).toBe(true);
  });

  it("is listed anew when its place in the history is forgotten", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    await until(() => cluster.watchCount === 1);
    await cluster.stop();
    cluster.put(one(service, "10.0.0.2"));
    cluster.put({ ...one(service, "10.0.0.3"), name: `${service.split("/")[1]}-b` });
    cluster.forget();
    await cluster.start();
    await seen.untilIds("10.0.0.2", "10.0.0.3");
    expect(seen.last?.freshness).toBe("live");
    expect(cluster.requests.filter((line) => !line.includes("watch="))).toHaveLength(2);
  });

  it("is stale while the server is away, and live again when it is back", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    await cluster.stop();
    const stale = await seen.until(({ freshness }) => freshness === "stale");
    expect(stale).toMatchObject({ revision: 1, instances: [{ id: "10.0.0.1" }] });
    await cluster.start();
    await seen.until(({ freshness }) => freshness === "live");
    expect(seen.ids).toEqual(["10.0.0.1"]);
  });

  it("is found when the server comes up later", async () => {
    const service = fresh();
    await cluster.stop();
    const seen = watch(service);
    await seen.untilFailure(/kubernetes registry: GET \/apis\/discovery.*nothing listens/);
    cluster.put(one(service, "10.0.0.1"));
    await cluster.start();
    await seen.untilIds("10.0.0.1");
  });

  it("survives events that are none, a broken line, and an error in the watch", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    await until(() => cluster.watchCount === 1);
    cluster.sendRaw('{"type":"ADDED","object":{"metadata":{}}}\n');
    await seen.untilFailure(/event of the type "ADDED" without an EndpointSlice/);
    cluster.sendRaw("<html>\n");
    await seen.untilFailure(/JSON/);
    cluster.put(one(service, "10.0.0.2"));
    await seen.untilIds("10.0.0.2");
    await until(() => cluster.watchCount === 1);
    cluster.sendRaw('{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is away"}}\n');
    await seen.untilFailure(/the watch was ended with 500 \(etcd is away\)/);
    await seen.until(({ freshness }) => freshness === "live");
  });

  it("names the right that is missing, and what grants it", async () => {
    cluster.isAllowed = () => false;
    const error = await watch(fresh()).untilFailure(/answered 403/);
    expect(error.message).toMatch(/the option server may not list and watch endpointslices \(discovery\.k8s\.io\)/);
    expect(error.message).toContain("resources: [endpointslices], verbs: [get, list, watch]");
  });

  it("names credentials that are refused, and shows none", async () => {
    const error = await watch(fresh(), { token: "not-the-one" }).untilFailure(/answered 401/);
    expect(error.message).toContain("the credentials of the option server are not accepted");
    expect(error.message).not.toContain("not-the-one");
  });

  it("reads a token file again when its token is refused", async () => {
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, `${cluster.token}\n`);
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = new WatchRecorder(registry({ token: undefined, tokenFile }), service);
    await seen.untilIds("10.0.0.1");
    await until(() => cluster.watchCount === 1);
    cluster.accepted = "another";
    await writeFile(tokenFile, "another");
    cluster.put(one(service, "10.0.0.2"));
    cluster.endWatches();
    await until(() => cluster.watchCount === 1);
    cluster.put(one(service, "10.0.0.3"));
    await seen.untilIds("10.0.0.3");
    expect(seen.messages).toEqual([]);
  });

  it("is read anew on refresh, but seldom", async () => {
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const seen = watch(service);
    await seen.untilIds("10.0.0.1");
    seen.watcher.refresh();
    cluster.put(one(service, "10.0.0.2"));
    await seen.untilIds("10.0.0.2");
    expect(cluster.requests.filter((line) => !line.includes("watch="))).toHaveLength(1);
  });

  it("can't be registered, watched under an odd name, or watched after the end", async () => {
    const made = registry();
    await expect(made.register("user", {} as never)).rejects.toThrow(/the cluster itself does that/);
    const handler = { snapshot: () => undefined, failed: () => undefined };
    expect(() => made.watch("a/b/c", handler)).toThrow(/"a\/b\/c" is no service/);
    expect(() => made.watch("User", handler)).toThrow(/name of the service is "User"/);
    expect(() => made.watch("user:0", handler)).toThrow(/port is "0"/);
    await made.close();
    expect(() => made.watch("user", handler)).toThrow(/closed/);
  });
});

describe("the cluster", () => {
  it("is kubectl's outside of one: the current context, or the one that is named", async () => {
    const path = join(folder, "config");
    const config = {
      "current-context": "here",
      contexts: [
        { name: "here", context: { cluster: "fake", user: "pod", namespace: "shop" } },
        { name: "there", context: { cluster: "fake", user: "plugin" } },
        { name: "nobody", context: { cluster: "gone" } },
      ],
      clusters: [{ name: "fake", cluster: { server: cluster.url } }],
      users: [
        { name: "pod", user: { token: cluster.token } },
        {
          name: "plugin",
          user: {
            exec: { command: process.execPath, args: ["-e", PLUGIN], env: [{ name: "T", value: cluster.token }] },
          },
        },
      ],
    };
    await writeFile(path, JSON.stringify(config));
    const service = fresh();
    cluster.put(one(service, "10.0.0.1"));
    const byContext = (context: string | undefined, name: string): WatchRecorder =>
      new WatchRecorder(registry({ server: undefined, token: undefined, context }, { KUBECONFIG: path }), name);
    await byContext(undefined, service.slice("shop/".length)).untilIds("10.0.0.1");
    await byContext("there", service).untilIds("10.0.0.1");
    await byContext("nobody", service).untilFailure(/names the cluster "gone", but has none of that name/);
    await byContext("where", service).untilFailure(/names the context "where"/);
  });

  it("may be described in YAML, and what can't be read is named", async () => {
    const at = async (file: string, text: string): Promise<WatchRecorder> => {
      const path = join(folder, file);
      await writeFile(path, text);
      return new WatchRecorder(registry({ server: undefined, token: undefined }, { KUBECONFIG: path }), "shop/user");
    };
    const yaml = `current-context: here
clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
contexts: [{ name: here, context: { cluster: c } }]`;
    await (await at("config.yaml", yaml)).untilFailure(/127\.0\.0\.1:1/);
    await (await at("broken", "a: [")).untilFailure(/broken can't be used: /);
    await (await at("empty", "{}")).untilFailure(/empty has no current-context; set the option context/);
  });

  it("is nowhere without a pod and without a configuration, which is said", async () => {
    const nowhere = registry({ server: undefined, token: undefined }, { HOME: folder });
    const seen = new WatchRecorder(nowhere, "shop/user");
    await seen.untilFailure(/no cluster to ask: this is no pod .*\.kube\/config; set the option server/);
    const isFinal = new Promise((resolve) =>
      nowhere.watch("shop/user", { snapshot() {}, failed: (_error, final) => resolve(final) }),
    );
    expect(await isFinal).toBe(true);
    const missing = registry({ server: undefined, token: undefined, kubeconfig: join(folder, "none") });
    await new WatchRecorder(missing, "shop/user").untilFailure(/none can't be read: ENOENT/);
    const pod = registry({ server: undefined, token: undefined }, { KUBERNETES_SERVICE_HOST: "10.0.0.1" });
    await new WatchRecorder(pod, "shop/user").untilFailure(/automountServiceAccountToken/);
  });

  it.each<[KubernetesOptions, RegExp]>([
    [{ namespace: "Shop" }, /namespace is "Shop"/],
    [{ port: 70_000 }, /port is 70000/],
    [{ token: "t" }, /belong to server, which is missing/],
    [{ server: "https://a", token: "t", tokenFile: "f" }, /token and tokenFile are given/],
    [{ server: "https://a", context: "c" }, /server and kubeconfig are given/],
    [{ sever: "https://a" } as never, /did you mean "?server/],
  ])("is not described by %j", (options, problem) => {
    expect(() => kubernetes(options)).toThrow(problem);
  });
});

describe("a target", () => {
  const read = (text: string): ReturnType<typeof fromTarget> =>
    fromTarget(readRemoteTarget(text, "k8s", (_start, _end, problem) => new TypeError(problem)));

  it.each([
    ["k8s://shop/user:grpc", "shop/user:grpc"],
    ["k8s:///user:8080", "user:8080"],
    ["k8s:///user", "user"],
    ["k8s://shop/user?context=there", "shop/user"],
  ])("%s", (text, service) => {
    expect(read(text).service).toBe(service);
  });

  it.each([
    ["k8s://a,b/user", /one namespace, not 2/],
    ["k8s://shop/user/x", /write k8s:\/\/namespace\/service:port/],
    ["k8s://shop/user?tag=a", /"tag" is no setting of k8s; known are context/],
    ["k8s://shop/User", /name of the service is "User"/],
  ])("%s is refused", (text, problem) => {
    expect(() => read(text)).toThrow(problem);
  });
});

const PLUGIN =
  'console.log(JSON.stringify({ kind: "ExecCredential", apiVersion: JSON.parse(process.env.KUBERNETES_EXEC_INFO).apiVersion, status: { token: process.env.T } }))';

/** Waits for something that the fake server sees. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
