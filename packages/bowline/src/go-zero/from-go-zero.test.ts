import { describe, expect, it } from "vitest";
import { createServer } from "../server/create-server.ts";
import { type FromGoZeroOptions, fromGoZero } from "./from-go-zero.ts";

/** As `goctl rpc new` writes it, with more. */
const SERVER = `
Name: user.rpc
ListenOn: 0.0.0.0:8080
Etcd:
  Hosts:
    - 127.0.0.1:2379
  Key: user.rpc
`;

async function refusal(config: string | object, read: "server" | string, options?: FromGoZeroOptions): Promise<string> {
  const parsed = await fromGoZero(config, options);
  try {
    if (read === "server") parsed.server();
    else parsed.client(read);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("the text of a configuration", () => {
  it("is YAML as go-zero reads it: on and yes are true", async () => {
    const config = await fromGoZero("name: a\nlistenon: :80\nhealth: off\nstrictcontrol: yes\n");
    expect(config.server()).toEqual({ name: "a", listen: ":80", timeoutMs: 2000, health: false });
  });

  it("may be a parsed object instead", async () => {
    const config = await fromGoZero({ Name: "a", ListenOn: ":80" });
    expect(config.server()).toEqual({ name: "a", listen: ":80", timeoutMs: 2000 });
    expect(config.notes).toEqual([]);
  });

  it("that is no YAML is refused", async () => {
    await expect(fromGoZero("Name: [a")).rejects.toThrow(/^go-zero configuration: this is no YAML: .*line 1/s);
    await expect(fromGoZero("- a\n- b\n")).rejects.toThrow("go-zero configuration is a list: give fields by name");
    await expect(fromGoZero("")).rejects.toThrow("go-zero configuration is null: give fields by name");
  });

  it.each([
    ["Pass: @$SECRET", "line 4, column 9: bad scalar start; "],
    ["Pass: '$SECRET", "line 4, column "],
    ["Pass: $SECRET: $SECRET", "line 4, column 9: block as implicit key; "],
    ["Pass: *$SECRET", ""],
    ["Pass: @s3cr3t", "line 4, column 9: bad scalar start; "],
  ])("that is no YAML is refused without what may be a secret: %s", async (line, place) => {
    const text = `Name: a\nListenOn: :80\nRedis:\n  ${line}`;
    const error: unknown = await fromGoZero(text, { environment: { SECRET: "s3cr3t" } }).catch((thrown) => thrown);
    expect(String(error)).toContain(`TypeError: go-zero configuration: this is no YAML: ${place}`);
    expect(String(error)).toMatch(/; a text with special characters needs quotation marks$|YAML: a text with special/);
    expect(String(error)).not.toContain("s3cr3t");
    expect((error as Error).cause).toBeUndefined();
  });

  it("with one field twice is refused, whatever its case", async () => {
    await expect(fromGoZero({ Name: "a", name: "b" })).rejects.toThrow("Name and name are one field; keep one");
  });

  it("gets variables of the environment where that is asked for; what is not set is empty, and noted", async () => {
    const text = `Name: \${APP}-$TIER\nListenOn: \${LISTEN}:80\n`;
    const config = await fromGoZero(text, { environment: { APP: "user", TIER: "rpc" } });
    expect(config.server()).toEqual({ name: "user-rpc", listen: ":80", timeoutMs: 2000 });
    expect(config.notes).toEqual([`\${LISTEN}: is not in the environment, and empty therefore`]);
    expect((await fromGoZero({ Name: "$APP", ListenOn: ":80" }, { environment: { APP: "x" } })).server().name).toBe(
      "x",
    );
    expect((await fromGoZero({ Name: "$APP", ListenOn: ":80" })).server().name).toBe("$APP");
    expect((await fromGoZero({ Name: "a$constructor", ListenOn: ":80" }, { environment: {} })).server().name).toBe("a");
  });
});

describe("a server", () => {
  it("registers in etcd under the key", async () => {
    const config = await fromGoZero(SERVER);
    const options = config.server();
    expect(options).toMatchObject({ name: "user.rpc", listen: "0.0.0.0:8080", registry: { name: "etcd" } });
    expect(config.notes).toEqual([]);
    createServer(options);
  });

  it("is named by the key where its name is another", async () => {
    const config = await fromGoZero(SERVER.replace("Name: user.rpc", "Name: user"));
    expect(config.server().name).toBe("user.rpc");
    expect(config.notes).toEqual(["Name: the server is named user.rpc, by Etcd.Key"]);
  });

  it("takes health, shutdown and middlewares", async () => {
    const config = await fromGoZero({
      Name: "a",
      ListenOn: ":80",
      Health: false,
      Shutdown: { WrapUpTime: "2s", WaitTime: "1m" },
      Middlewares: { Trace: false, Prometheus: false },
    });
    expect(config.server()).toEqual({
      name: "a",
      listen: ":80",
      timeoutMs: 2000,
      health: false,
      drainAcceptMs: 2000,
      drainTimeoutMs: 60_000,
      without: ["trace", "metrics"],
    });
    const shutdown = await fromGoZero({ Name: "a", ListenOn: ":80", Shutdown: {} });
    expect(shutdown.server()).toMatchObject({ drainAcceptMs: 1000, drainTimeoutMs: 5500 });
  });

  it("with Auth needs tokens, which stand in for Redis", async () => {
    const fields = {
      Name: "a",
      ListenOn: ":80",
      Auth: true,
      Redis: { Host: "127.0.0.1:6379", Type: "node", Key: "apps", Pass: "s3cret" },
    };
    expect(await refusal(fields, "server")).toBe(
      "go-zero configuration: Auth is true: Redis is not read here; give server({ tokens }), by name of the app or as a function that asks Redis",
    );
    const config = await fromGoZero(fields);
    const options = config.server({ tokens: { shop: "s3cret" } });
    expect(options.authenticate?.by).toMatchObject({ scheme: "app" });
    expect(config.notes).toEqual([
      "Redis: is not read: the tokens given to server() count",
      "StrictControl: apps that are not known are refused here, as if it were true",
    ]);
    createServer(options);
    expect(() => config.server({ tokens: { shop: "" } })).toThrow(/go-zero configuration: Auth: .*tokens\["shop"\]/);
  });

  it("without Auth does not look at tokens", async () => {
    const config = await fromGoZero({ Name: "a", ListenOn: ":80", Redis: { Host: "h:1", Key: "k" } });
    expect(config.server({ tokens: { shop: "s3cret" } }).authenticate).toBeUndefined();
    expect(config.notes).toEqual(["Redis: is not used: Auth is off"]);
  });

  it.each([
    [{}, { timeoutMs: 2000 }, 0],
    [{ Timeout: 500 }, { timeoutMs: 500 }, 0],
    [{ Timeout: 0 }, {}, 0],
    [{ Timeout: -1, MethodTimeouts: [{ FullMethod: "/a.A/B", Timeout: "1s" }] }, {}, 1],
    [
      {
        MethodTimeouts: [
          { FullMethod: "/a.A/B", Timeout: "1s" },
          { fullMethod: "/a.A/C", timeout: "2m" },
        ],
      },
      { timeoutMs: 2000, methodTimeoutsMs: { "/a.A/B": 1000, "/a.A/C": 120_000 } },
      0,
    ],
  ])("ends unary calls as go-zero does: %j", async (fields, expected, notes) => {
    const config = await fromGoZero({ Name: "a", ListenOn: ":80", ...fields });
    const { timeoutMs, methodTimeoutsMs } = config.server();
    expect({ timeoutMs, methodTimeoutsMs }).toEqual({ timeoutMs: undefined, methodTimeoutsMs: undefined, ...expected });
    expect(config.notes).toHaveLength(notes);
  });

  it("notes what changes nothing here, each once, and what is unknown with its nearest name", async () => {
    const config = await fromGoZero({
      Name: "a",
      ListenOn: ":80",
      Mode: "dev",
      Timeout: 3000,
      CpuThreshold: 800,
      MethodTimeouts: [
        { FullMethod: "/a.A/B", Timeout: "1s" },
        { FullMethod: "/a.A/C", Timeout: "2s" },
      ],
      Log: { Level: "info", Levl: "x", FieldKeys: { CallerKey: "c" } },
      MetricsUrl: "http://127.0.0.1/",
      Prometheus: { Host: "0.0.0.0", Port: 9101 },
      Telemetry: { Endpoint: "h:1", Sampler: 0.5, Batcher: "otlpgrpc", OtlpHeaders: { a: "b" } },
      DevServer: { Port: 6060 },
      Profiling: { ServerAddr: "h:1", ProfileType: { CPU: true } },
      Middlewares: { Stat: true, Recover: false, Breaker: true, StatConf: { SlowThreshold: "1s" } },
      Heath: true,
      Mysql: { DataSource: "x" },
      UserRpc: { Etcd: { Hosts: ["h:1"], Key: "k" } },
      OrderRpc: { endpoints: ["h:1"] },
    });
    config.server();
    config.server();
    expect(config.notes).toEqual([
      "Middlewares.Recover: what a handler throws never ends the process",
      "Middlewares.Stat: there are no lines of statistics",
      "Middlewares.Breaker: there is no breaker yet",
      "Middlewares.StatConf: calls are not logged",
      "Mode: there are no modes: nothing is turned off",
      "CpuThreshold: no calls are shed yet",
      "Log.Levl: is no field of LogConf; did you mean Level?",
      "Log: log lines go to `logger`, as JSON on standard error without one",
      "MetricsUrl: no statistics are pushed",
      "Prometheus: there is no endpoint of metrics yet",
      "Telemetry: W3C trace headers travel without it; spans are not exported yet",
      "DevServer: there is no server beside the service's own; its health is asked for by grpc.health.v1",
      "Profiling: profiles are taken with Node's own tools",
      "Heath: is no field of RpcServerConf; did you mean Health?",
      "Mysql: is no field of RpcServerConf; it is left to the program",
    ]);
  });

  const base = { Name: "a", ListenOn: ":80" };
  it.each([
    [{ ListenOn: ":80" }, "Name is missing: give the name of the service"],
    [{ Name: 7, ListenOn: ":80" }, "Name is 7: give a text"],
    [{ Name: "a" }, "ListenOn is missing: give host:port, 0.0.0.0:8080"],
    [{ Name: "a", ListenOn: "80" }, "ListenOn: "],
    [{ ...base, Timeout: "2s" }, 'Timeout is "2s": give a whole number of ms from -2147483647 to 2147483647'],
    [{ ...base, CpuThreshold: 1000 }, "CpuThreshold is 1000: give a whole number of thousandths from 0 to 999"],
    [{ ...base, Mode: "prod" }, 'Mode is "prod": give one of dev, test, rt, pre, pro'],
    [{ ...base, Health: "true" }, 'Health is "true": give true or false'],
    [{ ...base, Middlewares: true }, "Middlewares is true: give fields by name"],
    [
      { ...base, Shutdown: { WaitTime: 5 } },
      "Shutdown.WaitTime is 5: give a duration with its unit, such as 500ms, 2s or 1m30s",
    ],
    [{ ...base, Shutdown: { WaitTime: "-1s" } }, 'Shutdown.WaitTime is "-1s": give a duration'],
    [{ ...base, MethodTimeouts: {} }, "MethodTimeouts is a section: give a list"],
    [{ ...base, MethodTimeouts: [{ Timeout: "1s" }] }, "MethodTimeouts[0].FullMethod is missing"],
    [{ ...base, MethodTimeouts: [{ FullMethod: "/a/b" }] }, "MethodTimeouts[0].Timeout is missing"],
    [{ ...base, Log: { Rotation: "hourly" } }, 'Log.Rotation is "hourly": give one of daily, size'],
    [{ ...base, Telemetry: { Sampler: 2 } }, "Telemetry.Sampler is 2: give a number from 0 to 1"],
    [{ ...base, Redis: { Type: "x" } }, 'Redis.Type is "x": give one of node, cluster'],
    [{ ...base, Redis: { Pass: 1234 } }, "Redis.Pass is no text: write it in quotation marks"],
    [{ ...base, Profiling: { CpuThreshold: -1 } }, "Profiling.CpuThreshold is -1: give a whole number of thousandths"],
  ])("of %j is refused: %s", async (config, message) => {
    expect(await refusal(config, "server")).toContain(`go-zero configuration: ${message}`);
  });
});
