import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { certPair } from "../../../test/certs.ts";
import { useScenes } from "../../../test/server/server-scene.ts";
import { dial } from "../../net/dial.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import { systemClock } from "../../rpc/clock.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { type SelfCheckWorld, selfCheck } from "./self-check.ts";

const scenes = useScenes();

describe("the self-check of a server", () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** Something else that listens; its address. */
  async function listener(accept: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.push(socket.on("error", () => {}));
      accept(socket);
    }).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  function check(addresses: readonly string[], change: Partial<SelfCheckWorld> = {}): Promise<string | null> {
    const labelled = addresses.map((text) => {
      const [address, network = ""] = text.split("@");
      return { address, network };
    });
    return selfCheck(labelled, {
      clock: systemClock,
      dial,
      isTls: false,
      interfaces: networkInterfaces(),
      reachedFrom: null,
      others: null,
      signal: new AbortController().signal,
      ...change,
    });
  }

  const SETTING = "; set advertise (or BOWLINE_ADVERTISE) to an address by which clients reach this server";

  it("finds nothing wrong with a server that answers, and leaves no trace there", async () => {
    const { server, log } = await scenes.start();
    expect(await check([server.address])).toBeNull();
    expect([log.lines, server.misbehaved.size]).toEqual([[], 0]);
  });

  it("connects to a server with TLS, whatever its certificate", async () => {
    const { server } = await scenes.start({}, { tls: certPair("server") });
    expect(await check([server.address], { isTls: true })).toBeNull();
  });

  it("says that nobody listens there", async () => {
    const address = await listener(() => {});
    servers.splice(0)[0].close();
    const problem = await check([address]);
    expect(problem).toContain(`${address} can't be reached from this machine itself: cannot connect to ${address}: `);
    expect(problem).toContain("nothing listens on this port");
    expect(problem?.endsWith(SETTING)).toBe(true);
  });

  it("leaves it open whether others reach an address that is not this machine's", async () => {
    const dial = (): never => {
      throw new Error("no answer");
    };
    const problem = await check(["203.0.113.9:443"], { dial });
    expect(problem).toContain(
      "203.0.113.9:443 can't be reached from this machine itself: no answer; if clients reach it",
    );
    expect(problem).toContain("set selfCheck: false, else");
    expect(problem?.endsWith(SETTING.slice(2))).toBe(true);
  });

  it("says that something else answers", async () => {
    const http = await listener((socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(await check([http])).toContain("what answers there does not speak HTTP/2");
    const closing = await listener((socket) => void socket.once("data", () => socket.end()));
    expect(await check([closing])).toContain("the peer closed the connection without a word");
  });

  it("says after 5 s that there is no answer", async () => {
    const clock = new VirtualClock();
    const connected = Promise.withResolvers<void>();
    const silent = await listener((socket) => void socket.once("data", () => connected.resolve()));
    const checking = check([silent], { clock });
    await connected.promise;
    await clock.advance(5000);
    expect(await checking).toContain("no answer within 5000 ms to a connection that was made");
  });

  it("ends when the server stops", async () => {
    const stopped = new AbortController();
    const silent = await listener((socket) => void socket.once("data", () => stopped.abort()));
    expect(await check([silent], { signal: stopped.signal })).toBeNull();
  });

  it("dials addresses with networks of their own only where they are this machine's", async () => {
    const { server } = await scenes.start();
    const never = (): never => {
      throw new Error("this was dialled");
    };
    expect(await check(["203.0.113.9:443@public"], { dial: never })).toBeNull();
    expect(await check([`${server.address}@vpc-a`])).toBeNull();
    expect(await check(["127.0.0.1:1@vpc-a"])).toContain("127.0.0.1:1 can't be reached");
  });

  it("says that loopback is no use to others when the registry is elsewhere", async () => {
    const { server } = await scenes.start();
    expect(await check([server.address], { reachedFrom: "10.0.0.7" })).toBe(
      `${server.address} is loopback, but the registry is on another machine, which this one reaches from 10.0.0.7${SETTING}`,
    );
    expect(await check([server.address], { reachedFrom: "127.0.0.1" })).toBeNull();
  });

  it("says that a private address stands among public ones", async () => {
    const { server } = await scenes.start();
    const others = [instanceAt("10.0.0.8:80"), instanceAt("203.0.113.9:80")];
    expect(await check([server.address], { others })).toBe(
      `${server.address} is a private address, while other instances have public ones such as 203.0.113.9:80${SETTING}`,
    );
    expect(await check([server.address], { others: others.slice(0, 1) })).toBeNull();
    expect(await check([server.address], { others: [instanceAt("user.example.com:80")] })).toBeNull();
    expect(await check([`${server.address}@vpc-a`], { others })).toBeNull();
  });
});
