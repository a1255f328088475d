import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { MemoryNetworkStub } from "../../../test/server/workers/memory-network-stub.ts";
import { createServer } from "../create-server.ts";
import type { ServerOptions } from "../server-options.ts";
import { ownPortOptions, samePort, workerPlan } from "./worker-options.ts";

const own = { count: 3, ports: "own" } as const;

describe("options of workers", () => {
  it.each<readonly [ServerOptions["workers"], string]>([
    [0, "createServer options.workers is 0: give a whole number of processes from 1 to 1024"],
    [1.5, "createServer options.workers is 1.5: give a whole number"],
    [1025, "createServer options.workers is 1025"],
    [{ count: -1 }, "createServer options.workers.count is -1"],
    [
      "all" as never,
      'createServer options.workers is "all": give a whole number of processes from 1 to 1024, or "auto"',
    ],
    [null as never, "createServer options.workers is null"],
    [{} as never, "createServer options.workers.count is undefined"],
    [{ count: 2, port: "own" } as never, "createServer options.workers.port is not an option; did you mean ports?"],
    [{ count: 2, ports: "each" as never }, 'createServer options.workers.ports is "each": give one of "shared", "own"'],
    [{ count: 2, startTimeoutMs: 0 }, "createServer options.workers.startTimeoutMs is 0"],
  ])("say what is wrong with %j", (workers, message) => {
    expect(() => createServer({ workers })).toThrow(message);
  });

  it.each<readonly [ServerOptions, string]>([
    [
      { listen: "unix:/tmp/a.sock" },
      'createServer options.listen is unix:/tmp/a.sock, but workers with ports: "own" need a TCP port',
    ],
    [
      { listen: ":65534" },
      "createServer options.listen is :65534: 3 workers with ports of their own would need ports up to 65536",
    ],
    [{ listen: ":80", advertise: "a:65535" }, "createServer options.advertise is a:65535: 3 workers"],
    [{ advertise: "a:80" }, 'createServer options.advertise is a:80, but with ports: "own" and listen port 0'],
  ])("say what can't be counted up: %j", (options, message) => {
    expect(() => createServer({ ...options, workers: own })).toThrow(message);
  });

  it("need the ports of this machine", () => {
    expect(() => createServer({ workers: 2, network: new MemoryNetworkStub() })).toThrow(
      "createServer options.workers: processes can share ports of this machine only; leave out workers or network",
    );
  });

  it("mean as many processes as there are cores by auto", () => {
    expect(workerPlan("auto").count).toBe(availableParallelism());
    expect(workerPlan({ count: "auto", ports: "own" })).toMatchObject({ count: availableParallelism(), ports: "own" });
  });
});

describe("ports of workers' own", () => {
  it("count up, what is advertised too, and ids in the registry differ", () => {
    const options = { listen: "[::1]:8080", advertise: "host:9000", instanceId: "user" };
    expect(ownPortOptions(options, 1)).toEqual({ listen: "[::1]:8080", advertise: "host:9000", instanceId: "user-1" });
    expect(ownPortOptions(options, 3)).toEqual({ listen: "[::1]:8082", advertise: "host:9002", instanceId: "user-3" });
  });

  it("stay any free one, and options that are not given stay so", () => {
    expect(ownPortOptions({ listen: ":0" }, 3)).toEqual({ listen: ":0" });
    expect(ownPortOptions({}, 3)).toEqual({});
  });
});

describe("the same port again", () => {
  it("is the one that port 0 has led to, at the host that was asked for", () => {
    expect(samePort(":0", "[::]:41234")).toBe(":41234");
    expect(samePort("localhost:0", "127.0.0.1:41234")).toBe("localhost:41234");
  });

  it("is the one that was asked for, or the file", () => {
    expect(samePort("0.0.0.0:8080", "0.0.0.0:8080")).toBe("0.0.0.0:8080");
    expect(samePort("unix:/tmp/a.sock", "unix:/tmp/a.sock")).toBe("unix:/tmp/a.sock");
  });
});
