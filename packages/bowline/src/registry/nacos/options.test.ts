import { describe, expect, it } from "vitest";
import { readRemoteTarget } from "../remote-target.ts";
import { nacos } from "./nacos.ts";
import { completeNacosOptions, grpcAddress, type NacosOptions } from "./options.ts";
import { fromTarget } from "./target.ts";

const target = (text: string): ReturnType<typeof fromTarget> =>
  fromTarget(readRemoteTarget(text, "nacos", (_from, _to, problem) => new TypeError(problem)));

describe("the options of nacos()", () => {
  it("have defaults, and are completed by the environment", () => {
    expect(completeNacosOptions({}, {})).toMatchObject({
      hosts: [{ label: "127.0.0.1:8848", basePath: "/nacos" }],
      credentials: undefined,
      namespace: "public",
      group: "DEFAULT_GROUP",
      cluster: "DEFAULT",
      clusters: [],
      protocol: "auto",
    });
    const environment = {
      NACOS_SERVER_ADDR: "10.0.0.1:8848,10.0.0.2",
      BOWLINE_NACOS_USER: "app",
      BOWLINE_NACOS_PASSWORD: "secret",
    };
    const { hosts, credentials } = completeNacosOptions({}, environment);
    expect(hosts.map(({ label }) => label)).toEqual(["10.0.0.1:8848", "10.0.0.2:8848"]);
    expect(credentials).toEqual({ kind: "user", user: "app", password: "secret" });
    expect(hosts.map((host) => grpcAddress(host, 1000))).toEqual(["10.0.0.1:9848", "10.0.0.2:9848"]);
    const keys = completeNacosOptions({ accessKey: "a", secretKey: "b" }, environment);
    expect(keys.credentials).toEqual({ kind: "keys", accessKey: "a", secretKey: "b" });
  });

  it("are refused with the name of the option, and never with a secret", () => {
    const refused: readonly [NacosOptions, RegExp][] = [
      [{ hosts: [] }, /hosts: at least one/],
      [{ hosts: "unix:/run/a.sock" }, /hosts: .*Unix socket/],
      [{ hosts: "10.0.0.1:65000" }, /port 66000; change grpcPortOffset/],
      [{ hosts: "app:hunter2@10.0.0.1" }, /holds a user or password/],
      [{ password: "hunter2" }, /password is given without user/],
      [{ secretKey: "hunter2" }, /secretKey is given without accessKey/],
      [{ user: "" }, /user is empty/],
      [{ user: "a", accessKey: "b" }, /user and accessKey/],
      [{ group: "a b" }, /group: "a b"/],
      [{ namespace: "a/b" }, /namespace: "a\/b"/],
      [{ clusters: ["a,b"] }, /clusters\[0\]: "a,b"/],
      [{ metadata: { bowline: "x" } }, /metadata: "bowline"/],
      [{ metadata: { a: 1 as unknown as string } }, /metadata\.a: expected a text/],
      [{ protocol: "udp" as "http" }, /protocol/],
      [{ requestTimeoutMs: 0 }, /requestTimeoutMs/],
      [{ tls: "yes" as unknown as boolean }, /tls/],
      [{ servers: "x" } as NacosOptions, /servers/],
    ];
    for (const [options, message] of refused) {
      expect(() => nacos(options)).toThrow(message);
      expect(() => nacos(options)).not.toThrow(/hunter2/);
    }
    expect(() => completeNacosOptions({ user: "app" }, {})).toThrow(/no password.*BOWLINE_NACOS_PASSWORD/);
    expect(() => completeNacosOptions({ accessKey: "a" }, {})).toThrow(/no secretKey.*BOWLINE_NACOS_SECRET_KEY/);
  });
});

describe("a target with the scheme nacos", () => {
  it("names servers, service, group, namespace and clusters, in our words or zero-contrib's", () => {
    for (const text of [
      "nacos://10.0.0.1:8848,10.0.0.2:8848/user.rpc?group=shop&namespace=dev&cluster=a,b&tls=false",
      "nacos://10.0.0.1:8848/user.rpc?GroupName=shop&namespaceid=dev&Clusters=a&protocol=http",
      "nacos:///user.rpc",
    ]) {
      const { config, service } = target(text);
      expect([config.name, service]).toEqual(["nacos", "user.rpc"]);
    }
  });

  it("is refused with what is right", () => {
    const refused: readonly [string, RegExp][] = [
      ["nacos://10.0.0.1:8848/", /lacks the name of the service.*Correct: "nacos:\/\//],
      ["nacos://10.0.0.1:8848/user.rpc?colour=red", /"colour" is no setting of nacos; known are group/],
      ["nacos://10.0.0.1:8848/user.rpc?group=a&GroupName=b", /group and GroupName/],
      ["nacos://10.0.0.1:8848/user.rpc?tls=maybe", /tls that is not true or false/],
      ["nacos://10.0.0.1:8848/user.rpc?username=app", /holds username: give it as an option or as BOWLINE_NACOS_USER/],
      ["nacos://10.0.0.1:8848/user.rpc?password=hunter2", /holds a secret: targets are logged.*BOWLINE_NACOS_PASSWORD/],
      ["nacos://10.0.0.1:99999/user.rpc", /hosts/],
      ["nacos://10.0.0.1:8848/user.rpc?namespace=a%20b", /namespace: "a b"/],
    ];
    for (const [text, message] of refused) expect(() => target(text)).toThrow(message);
  });
});
