import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { failure, RecordingLogger, useScenes } from "../../test/server/server-scene.ts";
import { findCompression } from "../codec/compression.ts";
import type { Instance, Registration, Registry } from "../registry/registry.ts";
import { Code } from "../rpc/code.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { createServer } from "./create-server.ts";
import type { ServerOptions } from "./server-options.ts";

const scenes = useScenes();

/** Remembers what was registered. */
class RecordingRegistry implements Registry {
  readonly name = "recording";
  readonly isMachineOnly = true;
  readonly registered: [string, Instance][] = [];

  async register(service: string, instance: Instance): Promise<Registration> {
    this.registered.push([service, instance]);
    return { state: "registered", update: async () => {}, close: async () => {} };
  }

  watch(): never {
    throw new Error("nobody watches");
  }

  async close(): Promise<void> {}
}

describe("a wrong option", () => {
  const wrong: [string, unknown, string][] = [
    ["an unknown one", { lisen: ":0" }, "createServer options.lisen is not an option; did you mean listen?"],
    [
      "an unknown one in a group",
      { keepalive: { timeMS: 1 } },
      "options.keepalive.timeMS is not an option; did you mean timeMs?",
    ],
    ["a bad address", { listen: "localhost" }, 'createServer options.listen: address "localhost": the port is missing'],
    ["a bad port", { listen: "localhost:70000" }, 'port "70000" is not a number from 0 to 65535'],
    [
      "an address nobody can connect to",
      { advertise: ":80" },
      'createServer options.advertise: address ":80": the host is missing',
    ],
    [
      "an interface without a name",
      { advertise: "interface:" },
      'createServer options.advertise is "interface:": name an interface',
    ],
    [
      "an address to listen on",
      { advertise: "0.0.0.0:80" },
      'createServer options.advertise is "0.0.0.0:80": 0.0.0.0 is what a server listens on, nobody can connect to it',
    ],
    [
      "a list with a wrong address",
      { advertise: [{ network: "vpc-a", address: "cidr:10.0.0.0/33" }] },
      'createServer options.advertise[0].address is "cidr:10.0.0.0/33": "10.0.0.0/33" has "33" bits; IPv4 has 0 to 32',
    ],
    ["an empty list", { advertise: [] }, 'createServer options.advertise is an empty list: leave it out for "auto"'],
    [
      "networks twice",
      { networks: ["a"], advertise: [{ network: "b", address: "auto" }] },
      "createServer options.networks: the entries of advertise have networks of their own; leave out one of the two",
    ],
    [
      "a network without a label",
      { networks: [""] },
      'createServer options.networks[0] is "": give the label of a network',
    ],
    ["a negative weight", { weight: -1 }, "createServer options.weight is -1: give a number of load from 0 to"],
    ["a tag that is no text", { tags: { a: 1 } }, 'createServer options.tags["a"]: expected a text, got number'],
    [
      "a health check that can't be run",
      { healthCheck: { intervalMs: 10 } },
      "createServer options.healthCheck.check is missing: give a function that throws, or returns false",
    ],
    [
      "a health check without failures",
      { healthCheck: { check: () => {}, failuresUntilOut: 0 } },
      "createServer options.healthCheck.failuresUntilOut is 0: give a whole number of checks from 1 to 1000",
    ],
    ["a registry without a name", { registry: new RecordingRegistry() }, "createServer options.name is missing"],
    ["a name that is none", { name: "", registry: new RecordingRegistry() }, "createServer options.name: service"],
    [
      "a compression nobody has",
      { compression: "lzma" },
      'createServer options.compression is "lzma": give one of identity, gzip',
    ],
    [
      "a negative time",
      { drainTimeoutMs: -1 },
      "createServer options.drainTimeoutMs is -1: give a number of ms from 0 to 2147483647",
    ],
    [
      "a time of 0 where none may be",
      { keepalive: { maxAgeMs: 0 } },
      "options.keepalive.maxAgeMs is 0: give a number of ms from 1 to Infinity",
    ],
    [
      "half a byte",
      { maxReceiveBytes: 0.5 },
      "createServer options.maxReceiveBytes is 0.5: give a whole number of bytes",
    ],
    ["no connections", { maxConnections: 0 }, "createServer options.maxConnections is 0"],
    ["a wrong type", { handleSignals: "no" }, 'createServer options.handleSignals is "no": give a boolean'],
    [
      "an interceptor that is none",
      { interceptors: [{}] },
      "createServer options.interceptors[0] is object: give a function",
    ],
    [
      "a key that is none",
      { propagate: ["a", 1] },
      "createServer options.propagate[1] is number: give the key of metadata",
    ],
    [
      "a layer that is none",
      { without: ["metric"] },
      'createServer options.without: there is no layer "metric"; did you mean metrics?',
    ],
    ["a bound that is none", { limits: { maxStreams: 1 } }, "maxStreams"],
    [
      "a logger that lacks something",
      { logger: { info() {}, warn() {} } },
      "createServer options.logger.error is missing: give a logger such as pino",
    ],
  ];

  it.each(wrong)("%s is refused at once, with what is allowed", (_name, options, text) => {
    expect(() => createServer(options as ServerOptions)).toThrow(text);
  });
});

describe("option", () => {
  it("listen: takes an address with or without a port", async () => {
    const { server } = await scenes.start({}, { listen: "127.0.0.1:0" });
    expect(server.address).toBe(`127.0.0.1:${server.port}`);
    expect(server.addresses).toEqual([server.address]);
    expect(server.port).toBeGreaterThan(0);
  });

  it("name, registry, advertise, networks, instanceId, weight, zone, version, tags: make the entry in the registry", async () => {
    const registry = new RecordingRegistry();
    const advertise = "user.internal:7000";
    const more = { weight: 3, zone: "z1", version: "1.2", tags: { canary: "yes" }, networks: ["vpc-a"] };
    await scenes.start({}, { name: "user.rpc", registry, advertise, instanceId: "user-1", ...more });
    const { server } = await scenes.start({}, { name: "user.rpc", registry, listen: "0.0.0.0:0" });
    const [[service, first], [, second]] = registry.registered;
    expect(service).toBe("user.rpc");
    expect(first).toMatchObject({
      id: "user-1",
      addresses: [{ address: advertise, network: "vpc-a" }],
      state: "ready",
      weight: 3,
      zone: "z1",
      version: "1.2",
      tags: { canary: "yes" },
    });
    expect(second.id).toMatch(new RegExp(`^user\\.rpc-${process.pid}-\\w+$`));
    const plain = { weight: 1, zone: "", version: "", tags: {} };
    expect(second).toMatchObject({ ...plain, addresses: [{ address: `127.0.0.1:${server.port}`, network: "" }] });
  });

  it("tls: serves TLS", async () => {
    const scene = await scenes.start({}, { tls: certPair("server") });
    const client = scene.client({ tls: { authorities: certPath("authority.crt") }, authority: "localhost" });
    expect(await client.say("x")).toBe("x");
  });

  it("compression, compressFromBytes: compress what is large enough for clients that take it", async () => {
    const scene = await scenes.start({}, { compression: "gzip", compressFromBytes: 100 });
    const peer = await scene.rawPeer();
    await peer.handshake();
    const say = (id: number, text: string, accept: string): void => {
      peer.headers(id, grpcRequestFields("/text.v1.Text/Say", [["grpc-accept-encoding", accept]]));
      peer.data(id, grpcMessage(Buffer.from(text)), { end: true });
    };
    const answer = async (id: number): Promise<{ encoding?: string; message: Buffer }> => {
      const headers = await peer.expect("HEADERS", (frame) => frame.streamId === id && !frame.isEnd);
      const { data } = await peer.expect("DATA", (frame) => frame.streamId === id);
      return { encoding: headers.headers?.["grpc-encoding"], message: data as Buffer };
    };
    const long = "long ".repeat(100);
    say(1, long, "gzip");
    const compressed = await answer(1);
    expect([compressed.encoding, compressed.message[0]]).toEqual(["gzip", 1]);
    const plain = await findCompression("gzip")?.decompress(compressed.message.subarray(5), 10_000);
    expect(Buffer.from(plain ?? []).toString()).toBe(long);
    say(3, "short", "gzip");
    expect((await answer(3)).message).toEqual(grpcMessage(Buffer.from("short")));
    say(5, long, "br");
    expect(await answer(5)).toEqual({ encoding: undefined, message: grpcMessage(Buffer.from(long)) });
  });

  it("maxReceiveBytes: bounds requests, the bound itself included", async () => {
    const client = (await scenes.start({}, { maxReceiveBytes: 10 })).client();
    expect(await client.say("x".repeat(10))).toHaveLength(10);
    expect(await failure(client.say("x".repeat(11)))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      text: "a message of 11 bytes is above the limit of 10 (maxReceiveBytes)",
    });
  });

  it("maxConnections: refuses more, and says so", async () => {
    const scene = await scenes.start({}, { maxConnections: 1 });
    await scene.rawPeer();
    const socket = createConnection({ port: scene.server.port, host: "127.0.0.1" });
    await new Promise((resolve) => socket.on("error", () => {}).once("close", resolve));
    expect(scene.server.misbehaved.get("too-many-connections")).toBe(1);
    expect(scene.log.lines[0].text).toContain("1 connections are open; raise maxConnections");
  });

  it("limits: are those of HTTP/2", async () => {
    const scene = await scenes.start({}, { limits: { maxConcurrentStreams: 7 } });
    const settings = await (await scene.rawPeer()).handshake();
    expect(settings.settings).toContainEqual([3, 7]);
  });

  it("logger: gets the lines", async () => {
    const logger = new RecordingLogger();
    const scene = await scenes.start(
      {
        say: () => {
          throw new Error("boom");
        },
      },
      { logger },
    );
    await failure(scene.client().say("x"));
    expect(logger.lines.map((line) => line.text)).toEqual(["a handler failed"]);
    expect(scene.log.lines).toEqual([]);
  });

  it("clock: is what deadlines go by", async () => {
    const clock = new VirtualClock();
    let isRunning = false;
    const scene = await scenes.start(
      {
        say: () => {
          isRunning = true;
          return new Promise(() => {});
        },
      },
      { clock },
    );
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields("/text.v1.Text/Say", [["grpc-timeout", "1S"]]));
    peer.data(1, grpcMessage(Buffer.from("x")), { end: true });
    await scene.eventually(() => isRunning);
    await clock.advance(990);
    await peer.roundTrip();
    expect(peer.received.filter((frame) => frame.type === "HEADERS")).toEqual([]);
    await clock.advance(20);
    expect((await peer.expect("HEADERS")).headers).toMatchObject({ "grpc-status": "4" });
  });

  it("without: leaves a layer out", async () => {
    const scene = await scenes.start({}, { without: ["metrics"] });
    await scene.client().say("x");
    expect(scene.server.stats.every((each) => each.started === 0)).toBe(true);
  });
});
