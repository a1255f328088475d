import { describe, expect, it } from "vitest";
import { type LinkPair, linkContract } from "../../../test/link-contract.ts";
import { LinkRecorder } from "../../../test/link-recorder.ts";
import { networkContract } from "../../../test/network-contract.ts";
import type { Link } from "../../http2/link.ts";
import type { Listener } from "../../net/listener.ts";
import { systemClock } from "../../rpc/clock.ts";
import { seededRandom } from "../../rpc/random.ts";
import { settle, VirtualClock } from "../virtual-clock.ts";
import { type MemoryNetworkOptions, memoryNetwork } from "./memory-network.ts";
import type { NetworkFaults } from "./place.ts";

networkContract("a memory network", () => ({ network: memoryNetwork(), anyPort: "users:0", nobody: "users:1" }));

async function pairOf(options: MemoryNetworkOptions): Promise<LinkPair> {
  const network = memoryNetwork(options);
  const accepted = Promise.withResolvers<Link>();
  const listener = await network.listen("users:1", { clock: systemClock, onHttp2: accepted.resolve });
  const near = await network.dial("users:1", { clock: systemClock });
  return { near, far: await accepted.promise, close: () => listener.close() };
}

linkContract("a link of a memory network", () => pairOf({}));
linkContract("a link of a memory network with faults", () => {
  const random = seededRandom(7);
  const chunkBytes = (): number => 1 + random() * 5000;
  return pairOf({ random, faults: { delayMs: 1, jitterMs: 2, bytesPerSecond: 50_000_000, chunkBytes } });
});

/** A client's and a server's end in virtual time, both started. */
async function scene(options: MemoryNetworkOptions = {}) {
  const clock = new VirtualClock();
  const network = memoryNetwork({ clock, ...options });
  const atServer: LinkRecorder[] = [];
  const servers: Link[] = [];
  const onHttp2 = (link: Link): void => {
    const recorder = new LinkRecorder();
    link.start(recorder);
    servers.push(link);
    atServer.push(recorder);
  };
  const listener: Listener = await network.listen("users:1", { clock, onHttp2 });
  const dial = (address = "users:1"): Promise<Link> => network.dial(address, { clock });
  const connect = async (): Promise<{ client: Link; atClient: LinkRecorder }> => {
    const client = await clock.advanceUntil(dial());
    const atClient = new LinkRecorder();
    client.start(atClient);
    return { client, atClient };
  };
  return { clock, network, listener, servers, atServer, dial, connect };
}

function kindOf(dialling: Promise<Link>): Promise<string> {
  return dialling.then(
    () => "connected",
    (error: { kind: string }) => error.kind,
  );
}

describe("addresses", () => {
  it("are names in any case, with wildcards for a whole port", async () => {
    const { network, dial } = await scene();
    expect(await kindOf(dial("USERS:1"))).toBe("connected");
    const options = { clock: systemClock, onHttp2: () => {} };
    const any = await network.listen("0.0.0.0:0", options);
    expect(any.address).toBe(`0.0.0.0:${any.port}`);
    for (const host of ["127.0.0.1", "[::1]", "anything"]) {
      expect(await kindOf(dial(`${host}:${any.port}`))).toBe("connected");
    }
    expect((await network.listen(`anything:${any.port}`, options)).port).toBe(any.port);
    expect((await network.listen("unix:/run/users.sock", options)).port).toBe(0);
    expect(await kindOf(dial("unix:/run/users.sock"))).toBe("connected");
    expect(network.links().map(({ address }) => address)).toEqual([
      "users:1",
      ...Array(3).fill(any.address),
      "unix:/run/users.sock",
    ]);
  });

  it("without a host are those of [::], and a port 0 is one that nobody was given before", async () => {
    const { network, dial } = await scene();
    const options = { clock: systemClock, onHttp2: () => {} };
    const first = await network.listen(":0", options);
    expect(first.address).toBe(`[::]:${first.port}`);
    expect(await kindOf(dial(first.address))).toBe("connected");
    expect(network.links(`:${first.port}`)).toEqual(network.links(first.address));
    expect(network.links(first.address)).toHaveLength(1);
    await first.close();
    const wanted = network.freeAddress("users:0");
    expect([wanted, network.freeAddress("Users:7")]).toEqual([`users:${first.port + 1}`, "Users:7"]);
    expect((await network.listen("users:0", options)).port).toBe(first.port + 2);
    expect((await network.listen(wanted, options)).address).toBe(wanted);
  });

  it("of a Unix socket name one end, as with sockets", async () => {
    const { network } = await scene();
    const accepted = Promise.withResolvers<Link>();
    await network.listen("unix:/run/users.sock", { clock: systemClock, onHttp2: accepted.resolve });
    const { peer } = await network.dial("unix:/run/users.sock", { clock: systemClock });
    expect(peer).toEqual({ remoteAddress: "unix:/run/users.sock", localAddress: "unix:" });
    expect((await accepted.promise).peer).toEqual({ remoteAddress: "unix:", localAddress: "unix:/run/users.sock" });
  });

  it("that nobody listens on are refused with who does", async () => {
    const { dial } = await scene();
    await expect(dial("user:1")).rejects.toThrow(
      "cannot connect to user:1: nothing listens there; in this memory network listens users:1",
    );
  });

  it("carry no TLS, and say so", async () => {
    const { network } = await scene();
    const tls = {} as never;
    await expect(network.dial("users:1", { clock: systemClock, tls })).rejects.toThrow(/carries no TLS/);
    await expect(network.listen("a:1", { clock: systemClock, tls, onHttp2: () => {} })).rejects.toThrow(/no TLS/);
  });
});

describe("an address", () => {
  it("refuses new connections while told to, and open ones live on", async () => {
    const { network, dial, connect, atServer } = await scene();
    const { client } = await connect();
    network.refuse("users:1");
    expect(await kindOf(dial())).toBe("refused");
    client.write(Buffer.from("alive"));
    await atServer[0].untilText("alive");
    network.accept("users:1");
    expect(await kindOf(dial())).toBe("connected");
  });

  it("refuses the share that it was given, the same one for the same seed", async () => {
    const outcomes: string[][] = [];
    for (let run = 0; run < 2; run++) {
      const { dial } = await scene({ faults: { refusedShare: 0.3 } });
      const kinds: string[] = [];
      for (let i = 0; i < 200; i++) kinds.push(await kindOf(dial()));
      outcomes.push(kinds);
    }
    const refused = outcomes[0].filter((kind) => kind === "refused").length;
    expect(refused).toBeGreaterThan(40);
    expect(refused).toBeLessThan(80);
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  it("that is cut off gives no answer until the time is over", async () => {
    const { clock, network } = await scene();
    network.cutOff("users:1");
    const refused = network.dial("users:1", { clock, connectTimeoutMs: 3000 }).catch((error: unknown) => error);
    await clock.advance(2999);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(await refused).toMatchObject({ kind: "timeout", message: expect.stringContaining("gave up after 3000 ms") });
    expect(clock.pending).toBe(0);
  });

  it("that is restored lets go on what was held up, connections too", async () => {
    const { clock, network, dial, connect, atServer } = await scene();
    const { client, atClient } = await connect();
    network.cutOff("users:1");
    client.write(Buffer.from("later"));
    const dialling = dial();
    await clock.advance(1000);
    expect([atServer[0].text, atClient.events]).toEqual(["", []]);
    network.restore("users:1");
    await atServer[0].untilText("later");
    expect(await kindOf(dialling)).toBe("connected");
  });

  it("that is restored leaves alone what the test has frozen", async () => {
    const { network, connect, atServer } = await scene();
    const { client } = await connect();
    const [link] = network.links();
    link.toServer.freeze();
    network.cutOff("users:1");
    expect([link.toServer.isFrozen, link.toClient.isFrozen]).toEqual([true, false]);
    client.write(Buffer.from("held"));
    network.restore("users:1");
    await settle();
    expect([link.toServer.isFrozen, atServer[0].text]).toEqual([true, ""]);
    network.cutOff("users:1");
    link.thaw();
    await settle();
    expect(atServer[0].text).toBe("");
    network.restore("users:1");
    await atServer[0].untilText("held");
  });

  it("takes faults for its open and its later links, and no other's", async () => {
    const { clock, network, connect, atServer, listener } = await scene();
    const { client } = await connect();
    network.setFaults("users:1", { delayMs: 50 });
    client.write(Buffer.from("slow"));
    await clock.advance(49);
    expect(atServer[0].text).toBe("");
    await clock.advance(1);
    expect(atServer[0].text).toBe("slow");
    const startedAt = clock.now();
    await connect();
    expect(clock.now() - startedAt).toBe(100);
    expect(network.links("users:1").map(({ delayMs }) => delayMs)).toEqual([50, 50]);
    expect(listener.connections).toBe(2);
  });

  it("checks faults when they are given", async () => {
    expect(() => memoryNetwork({ faults: { delayMs: -1 } })).toThrow(/delayMs must be 0 or more, not -1/);
    expect(() => memoryNetwork().setFaults("a:1", { refusedShare: 2 })).toThrow(/refusedShare must be from 0 to 1/);
    expect(() => memoryNetwork().setFaults("a:1", { bytesPerSecond: 0 })).toThrow(RangeError);
    expect(() => memoryNetwork().refuse("no address")).toThrow(/the port is missing|write host:port/);
    const misspelt = { delay: 5 } as NetworkFaults;
    const hint = new TypeError("faults.delay is not an option; did you mean delayMs?");
    expect(() => memoryNetwork({ faults: misspelt })).toThrow(hint);
    expect(() => memoryNetwork().setFaults("a:1", misspelt)).toThrow(hint);
    await expect((await scene({ faults: () => misspelt })).dial()).rejects.toThrow(hint);
    const number = (): NetworkFaults => 5 as NetworkFaults;
    await expect((await scene({ faults: number })).dial()).rejects.toThrow("faults: give an object of options, not 5");
    const none = { fault: {} } as MemoryNetworkOptions;
    expect(() => memoryNetwork(none)).toThrow("memoryNetwork options.fault is not an option; did you mean faults?");
  });

  it("takes faults of connecting for its later links, beside those that its open ones take on", async () => {
    const { clock, network, connect, dial } = await scene();
    await connect();
    network.setFaults("users:1", { refusedShare: 1, highWaterBytes: 5, isSlowToTake: true, delayMs: 1 });
    expect(network.links("users:1").map(({ delayMs }) => delayMs)).toEqual([1]);
    expect(await clock.advanceUntil(kindOf(dial()))).toBe("refused");
  });
});

describe("a link", () => {
  it("has two ways, each with faults of its own", async () => {
    const { clock, network, connect, atServer, servers } = await scene();
    const { client, atClient } = await connect();
    const [link] = network.links("users:1");
    link.toClient.delayMs = 30;
    client.write(Buffer.from("request"));
    await atServer[0].untilText("request");
    servers[0].write(Buffer.from("answer"));
    await clock.advance(29);
    expect(atClient.text).toBe("");
    await clock.advance(1);
    expect(atClient.text).toBe("answer");
    expect([link.toServer.arrivedBytes, link.toClient.arrivedBytes]).toEqual([7, 6]);
  });

  it("with jitter delivers in order, within its bounds", async () => {
    const { clock, network, connect, atServer } = await scene();
    const { client } = await connect();
    network.links()[0].set({ delayMs: 10, jitterMs: 40 });
    const arrivals: number[] = [];
    atServer[0].onData = () => arrivals.push(clock.now());
    const text = Array.from({ length: 50 }, (_, i) => String.fromCharCode(65 + i)).join("");
    for (const letter of text) client.write(Buffer.from(letter));
    await clock.advance(9);
    expect(arrivals).toEqual([]);
    await clock.advance(41);
    expect(atServer[0].text).toBe(text);
    expect(Math.max(...arrivals)).toBeGreaterThan(arrivals[0]);
  });

  it("carries no more than its bandwidth, a segment at a time", async () => {
    const { clock, network, connect, atServer } = await scene();
    const { client } = await connect();
    network.links()[0].set({ bytesPerSecond: 8000 });
    client.write(Buffer.alloc(16_000));
    await clock.advance(1000);
    expect(atServer[0].bytes.length).toBeGreaterThan(8000 - 1460);
    expect(atServer[0].bytes.length).toBeLessThanOrEqual(8000);
    await clock.advance(1000);
    expect(atServer[0].bytes.length).toBe(16_000);
  });

  it("arrives in pieces of the size asked for", async () => {
    const { network, connect, atServer } = await scene();
    const { client } = await connect();
    network.links()[0].set({ chunkBytes: 1 });
    client.write(Buffer.from("abc"));
    await atServer[0].untilText("abc");
    expect(atServer[0].chunks.map(String)).toEqual(["a", "b", "c"]);
  });

  it("freezes and thaws, losing nothing", async () => {
    const { clock, network, connect, atServer } = await scene();
    const { client } = await connect();
    const [link] = network.links();
    link.freeze();
    client.write(Buffer.from("held"));
    await clock.advance(10_000);
    expect(atServer[0].text).toBe("");
    expect(link.toServer.queuedBytes).toBe(4);
    link.thaw();
    await atServer[0].untilText("held");
  });

  it("is reset now, for both ends at once", async () => {
    const { network, connect, atServer } = await scene();
    const { atClient } = await connect();
    const [link] = network.links();
    link.reset();
    await Promise.all([atClient.untilEvent("closed"), atServer[0].untilEvent("closed"), link.closed]);
    expect([atClient.error, atServer[0].error]).toMatchObject([{ code: "ECONNRESET" }, { code: "ECONNRESET" }]);
    expect([network.links(), link.isOpen]).toEqual([[], false]);
  });

  it("is reset behind the bytes that it was given", async () => {
    const { network, connect, atServer } = await scene();
    const { client, atClient } = await connect();
    network.links()[0].toServer.set({ resetAfterBytes: 5 });
    client.write(Buffer.from("abc"));
    await atServer[0].untilText("abc");
    client.write(Buffer.from("defghi"));
    await Promise.all([atClient.untilEvent("closed"), atServer[0].untilEvent("closed")]);
    expect(atServer[0].text).toBe("abcde");
    expect(atClient.error).toMatchObject({ code: "ECONNRESET" });
  });

  it.each(["server", "client"] as const)("whose %s is lost is half open: the other end is never told", async (side) => {
    const { clock, network, connect, atServer, servers } = await scene();
    const { client, atClient } = await connect();
    network.links()[0].lose(side);
    const [gone, left] = side === "server" ? [atServer[0], atClient] : [atClient, atServer[0]];
    const leftLink = side === "server" ? client : servers[0];
    await gone.untilEvent("closed");
    expect(gone.error).toMatchObject({ code: "ETIMEDOUT" });
    leftLink.write(Buffer.from("hello?"));
    await clock.advance(60_000);
    expect(left.events).toEqual([]);
    expect(network.links()).toHaveLength(1);
    leftLink.end();
    await clock.advance(6000);
    expect(left.error?.message).toMatch(/did not take the last 6 bytes within 6000 ms/);
    expect([network.links(), clock.pending]).toEqual([[], 0]);
  });

  it("that is frozen can still be ended: it is given up after 6 s, as a socket's", async () => {
    const { clock, network, connect } = await scene();
    const { client, atClient } = await connect();
    network.links()[0].freeze();
    client.end();
    await clock.advance(5999);
    expect(atClient.has("closed")).toBe(false);
    await clock.advance(1);
    expect([atClient.has("closed"), atClient.error]).toEqual([true, undefined]);
  });
});

describe("the close of a network", () => {
  it("breaks all links, frees all addresses and leaves nothing waiting", async () => {
    const { clock, network, dial, connect } = await scene({ faults: { delayMs: 5 } });
    const { client, atClient } = await connect();
    client.write(Buffer.from("never arrives"));
    network.cutOff("users:1");
    const dialling = kindOf(dial());
    await clock.advance(20);
    network.close();
    expect(await dialling).toBe("refused");
    await atClient.untilEvent("closed");
    expect([network.links(), clock.pending]).toEqual([[], 0]);
    await network.listen("users:1", { clock, onHttp2: () => {} });
  });
});
