import { describe, expect, it } from "vitest";
import { createClient } from "../client/create-client.ts";
import { Health } from "../gen/grpc/health/v1/health_rpc.ts";
import { fromGoZero, type GoZeroConfig } from "./from-go-zero.ts";

const ETCD = { Hosts: ["10.0.0.1:2379", "10.0.0.2:2379"], Key: "user.rpc" };

/** A file whose section `UserRpc` has these fields. */
const withClient = (fields: object, top: object = {}): Promise<GoZeroConfig> => fromGoZero({ ...top, UserRpc: fields });

async function refusal(fields: object): Promise<string> {
  const config = await withClient(fields);
  try {
    config.client("UserRpc");
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("a client", () => {
  it("is found in etcd by its key", async () => {
    const config = await withClient({ Etcd: ETCD });
    const { target, options } = config.client("userrpc");
    expect([target, options.registry]).toMatchObject(["user.rpc", { name: "etcd" }]);
    expect(Object.keys(options)).toEqual(["registry"]);
    expect(config.notes).toEqual([]);
    await createClient(Health, target, options).close();
  });

  it("takes Endpoints before Target before Etcd", async () => {
    const both = await withClient({ Endpoints: ["10.0.0.7:8080", "b:80"], Target: "dns:///a:80", Etcd: ETCD });
    expect(both.client("UserRpc")).toEqual({ target: "static:///10.0.0.7:8080,b:80", options: {} });
    expect(both.notes).toEqual(["UserRpc.Target: is not used: Endpoints go before it"]);
    const second = await withClient({ Endpoints: [], Target: "consul://127.0.0.1:8500/user.rpc", Etcd: ETCD });
    expect(second.client("UserRpc")).toEqual({ target: "consul://127.0.0.1:8500/user.rpc", options: {} });
    const through = await withClient({ Target: "passthrough:///10.0.0.7:80" });
    expect(through.client("UserRpc").target).toBe("10.0.0.7:80");
  });

  it("may be the whole file, or a section of a section", async () => {
    expect((await fromGoZero({ Target: "dns:///a:80" })).client().target).toBe("dns:///a:80");
    const deep = await fromGoZero({ Rpc: { User: { Target: "dns:///a:80" } } });
    expect(deep.client("Rpc.User").target).toBe("dns:///a:80");
    expect(() => deep.client("Rpc.Usr")).toThrow(
      "Rpc.Usr is missing: there is no section of that name; did you mean User?",
    );
  });

  it("has from further out what its Etcd lacks", async () => {
    const outer = { Etcd: { Hosts: ["10.0.0.1:2379"], Key: "gateway", User: "u", Pass: "p" } };
    const own = (await withClient({ etcd: { key: "user.rpc" } }, outer)).client("UserRpc");
    expect(own.target).toBe("user.rpc");
    const none = (await withClient({}, outer)).client("UserRpc");
    expect(none.target).toBe("gateway");
  });

  it("names a key in its target that can be no bare name", async () => {
    const { target, options } = (await withClient({ Etcd: { ...ETCD, Key: "/shop/user" } })).client("UserRpc");
    expect([target, options]).toEqual(["etcd:///10.0.0.1:2379,10.0.0.2:2379?key=%2Fshop%2Fuser", {}]);
    await createClient(Health, target, options).close();
    expect(await refusal({ Etcd: { ...ETCD, Key: "/shop/user", User: "u", Pass: "p" } })).toContain(
      'UserRpc.Etcd.Key is "/shop/user": with User or certificates give letters',
    );
  });

  it("sends app and token, both or none", async () => {
    const { options } = (await withClient({ Target: "a:80", App: "shop", Token: "s3cret" })).client("UserRpc");
    expect(options.credentials?.allowPlaintext).toBe(true);
    await createClient(Health, "a:80", options).close();
    const half = await withClient({ Target: "a:80", Token: "s3cret" });
    expect(half.client("UserRpc").options).toEqual({});
    expect(half.notes).toEqual(["UserRpc.App: is missing: calls carry neither"]);
  });

  it.each([
    [{ Timeout: 2000 }, {}, 0],
    [{ Timeout: 500 }, { timeoutMs: 500 }, 1],
    [{ Timeout: 0 }, { timeoutMs: 0 }, 0],
    [{ Timeout: -1 }, { timeoutMs: 0 }, 0],
    [{ Timeout: 500, Middlewares: { Timeout: false } }, { timeoutMs: 0 }, 0],
    [{ KeepaliveTime: "20s" }, { keepalive: { timeMs: 20_000 } }, 0],
    [{ KeepaliveTime: "0s" }, {}, 0],
    [{ KeepaliveTime: "1s" }, { keepalive: { timeMs: 10_000 } }, 1],
    [{ BalancerName: "p2c_ewma" }, {}, 0],
    [{ BalancerName: "round_robin" }, { balancer: "round_robin" }, 0],
    [{ BalancerName: "consistent_hash" }, { balancer: "consistent_hash" }, 0],
    [{ BalancerName: "pick_first" }, {}, 1],
    [{ NonBlock: true }, {}, 0],
    [{ NonBlock: false }, {}, 1],
    [{ Middlewares: { Trace: false, Prometheus: false } }, { without: ["trace", "metrics"] }, 0],
    [{ Middlewares: { Trace: true, Duration: true, Breaker: false, Brake: 1 } }, {}, 3],
    [{ Timout: 5 }, {}, 1],
    [{ Etcd: null, Middlewares: null }, {}, 0],
  ])("with %j has the options %j, and %d notes", async (fields, options, notes) => {
    const config = await withClient({ Target: "a:80", ...fields });
    expect(config.client("UserRpc").options).toEqual(options);
    expect(config.notes).toHaveLength(notes);
    await createClient(Health, "a:80", config.client("UserRpc").options).close();
  });

  it.each([
    [{}, "UserRpc.Etcd is missing: give Endpoints, Target or Etcd"],
    [{ Endpoints: "a:80" }, 'UserRpc.Endpoints is "a:80": give a list of texts'],
    [{ Endpoints: [80] }, "UserRpc.Endpoints[0] is 80: give a text"],
    [{ Endpoints: ["a"] }, "UserRpc.Endpoints: target "],
    [{ Target: "xds:///user" }, "UserRpc.Target: target "],
    [{ Target: "a:80", Timeout: 1.5 }, "UserRpc.Timeout is 1.5: give a whole number of ms"],
    [{ Target: "a:80", KeepaliveTime: 20_000 }, "UserRpc.KeepaliveTime is 20000: give a duration"],
    [{ Target: "a:80", App: "a b", Token: "t" }, "UserRpc.App: appCredentials options.app"],
    [{ Target: "a:80", Token: 123_456 }, "UserRpc.Token is no text: write it in quotation marks"],
  ])("of %j is refused: %s", async (fields, message) => {
    expect(await refusal(fields)).toContain(`go-zero configuration: ${message}`);
  });
});

describe("etcd", () => {
  const files = { CertFile: "c.pem", CertKeyFile: "c.key", CACertFile: "ca.pem" };

  it("may have a user and certificates", async () => {
    const config = await withClient({ Etcd: { ...ETCD, User: "u", Pass: "p", ...files, InsecureSkipVerify: true } });
    expect(config.client("UserRpc").options.registry).toMatchObject({ name: "etcd" });
    expect(config.notes).toEqual([]);
  });

  it("notes what go-zero or Bowline does not use", async () => {
    const config = await withClient({ Etcd: { ...ETCD, ID: 7, User: "u", InsecureSkipVerify: true, Namespace: "x" } });
    config.client("UserRpc");
    expect(config.notes).toEqual([
      "UserRpc.Etcd.ID: an instance's key ends in the id of its lease, which no client reads",
      "UserRpc.Etcd.Pass: is missing: etcd gets neither",
      "UserRpc.Etcd.InsecureSkipVerify: means nothing without the three files of certificates",
      "UserRpc.Etcd.Namespace: is no field of EtcdConf; it is left to the program",
    ]);
  });

  it("without hosts leaves a server unregistered", async () => {
    const config = await fromGoZero({ Name: "a", ListenOn: ":80", Etcd: { Hosts: [], Key: "a" } });
    expect(config.server()).toEqual({ name: "a", listen: ":80", timeoutMs: 2000 });
    expect(config.notes).toEqual(["Etcd.Hosts: is empty: etcd is not used"]);
  });

  it.each([
    [{ Key: "a" }, "Hosts is missing"],
    [{ Hosts: ["a:1"] }, "Key is missing"],
    [{ Hosts: "a:1", Key: "a" }, 'Hosts is "a:1": give a list of texts'],
    [{ Hosts: [], Key: "a" }, "Hosts is a list: a client needs Hosts and Key"],
    [{ Hosts: ["http://a:1"], Key: "a" }, 'Hosts: etcd registry.hosts[0]: "http://a:1" has a scheme'],
    [{ ...ETCD, ID: "7" }, 'ID is "7": give a whole number'],
    [
      { ...ETCD, CertFile: "c.pem", CACertFile: "ca.pem" },
      "CertKeyFile is missing: CertFile, CertKeyFile and CACertFile",
    ],
    [{ ...ETCD, CACertFile: "ca.pem" }, "CertFile is missing"],
  ])("of %j is refused: %s", async (etcd, message) => {
    expect(await refusal({ Etcd: etcd })).toContain(`go-zero configuration: UserRpc.Etcd.${message}`);
  });

  it("never shows a password", async () => {
    const { message } = await withClient({ Etcd: { ...ETCD, User: "u", Pass: ["s3cret"] } }).then((config) => {
      try {
        config.client("UserRpc");
      } catch (error) {
        return error as Error;
      }
      throw new Error("nothing was refused");
    });
    expect(message).toContain("UserRpc.Etcd.Pass is no text");
    expect(message).not.toContain("s3cret");
  });
});
