import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { ConnectionKeeper, DeadPeerError, type KeptConnection, type KeptLifetime } from "./connection-keeper.ts";
import { connectionLifetime, type KeepaliveOptions, type LifetimeOptions } from "./keepalive.ts";

/** A connection that writes down what is done to it. */
class FakeConnection implements KeptConnection {
  readonly link = { peer: { remoteAddress: "10.0.0.7:4711", localAddress: "10.0.0.8:80" } };
  readonly streams = { size: 0 };
  readonly events: string[] = [];
  chunksReceived = 0;
  readonly #clock: VirtualClock;
  keeper: ConnectionKeeper | null = null;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  note(what: string): void {
    this.events.push(`${Math.round(this.#clock.now())} ${what}`);
  }

  ping(): void {
    this.note("ping");
  }

  abort(error: Error): void {
    this.note(`abort: ${error.message}`);
    expect(error).toBeInstanceOf(DeadPeerError);
    this.keeper?.close();
  }
}

let clock: VirtualClock;
let connection: FakeConnection;

beforeEach(() => {
  clock = new VirtualClock();
  connection = new FakeConnection(clock);
});

function keep(
  keepalive: Partial<KeepaliveOptions>,
  lifetime: Partial<LifetimeOptions> | null = null,
): ConnectionKeeper {
  const owner: KeptLifetime | null = lifetime && {
    options: connectionLifetime(lifetime),
    random: () => 0.5,
    leave: (why) => connection.note(`leave ${why}`),
    refuse: (why) => connection.note(`refuse ${why}`),
    expire: () => connection.note("expire"),
  };
  const options = { timeMs: 10_000, timeoutMs: 5000, permitWithoutStream: true, ...keepalive };
  const keeper = new ConnectionKeeper(connection, clock, options, owner);
  connection.keeper = keeper;
  keeper.start();
  return keeper;
}

const never = { timeMs: Number.POSITIVE_INFINITY };

describe("ConnectionKeeper and a silent peer", () => {
  it("asks after timeMs, gives up timeoutMs later", async () => {
    keep({});
    await clock.advance(9999);
    expect(connection.events).toEqual([]);
    await clock.advance(20_000);
    expect(connection.events).toEqual([
      "10000 ping",
      "15000 abort: 10.0.0.7:4711 gave no sign of life within 5000 ms after a PING (keepalive.timeoutMs)",
    ]);
    expect(clock.pending).toBe(0);
  });

  it("takes anything received for a sign of life", async () => {
    keep({});
    for (let i = 0; i < 5; i++) {
      await clock.advance(9000);
      connection.chunksReceived++;
    }
    expect(connection.events).toEqual([]);
    await clock.advance(10_500);
    expect(connection.events).toHaveLength(1);
    // The answer to the PING.
    connection.chunksReceived++;
    await clock.advance(9000);
    expect(connection.events).toHaveLength(1);
  });

  it("asks never early, and late by a twentieth of timeMs at most", async () => {
    for (const lastSign of [1, 499, 501, 5000, 9999]) {
      clock = new VirtualClock();
      connection = new FakeConnection(clock);
      const keeper = keep({});
      await clock.advance(lastSign);
      connection.chunksReceived++;
      await clock.advance(12_000);
      const pingAt = Number.parseInt(connection.events[0], 10);
      expect(pingAt).toBeGreaterThanOrEqual(lastSign + 10_000);
      expect(pingAt).toBeLessThanOrEqual(lastSign + 10_500);
      keeper.close();
    }
  });

  it("has one timer at most, and none once it is closed", async () => {
    const keeper = keep({}, { maxAgeMs: 60_000, maxIdleMs: 60_000 });
    for (let i = 0; i < 20; i++) {
      await clock.advance(777);
      connection.chunksReceived++;
      expect(clock.pending).toBe(1);
    }
    keeper.close();
    expect(clock.pending).toBe(0);
  });

  it("sets no timer where nothing is to be done", () => {
    keep(never, {});
    expect(clock.pending).toBe(0);
  });

  it("forgives a peer whose answer came while this process stood still", async () => {
    keep({});
    await clock.advance(10_000);
    expect(connection.events).toEqual(["10000 ping"]);
    // The timer is late, the answer lies unread in the socket.
    const late = new VirtualClock(clock.now() + 5500);
    Object.assign(clock, { now: () => late.now(), fresh: () => late.now() });
    await clock.advance(5000);
    expect(connection.events).toHaveLength(1);
    connection.chunksReceived++;
    await clock.advance(200);
    expect(connection.events).toHaveLength(1);
  });
});

describe("ConnectionKeeper without open streams", () => {
  it("sleeps, and tests a connection that was silent for long when the next stream opens", async () => {
    const keeper = keep({ permitWithoutStream: false });
    expect(keeper.isDormant).toBe(true);
    expect(clock.pending).toBe(0);
    await clock.advance(3_600_000);
    expect(connection.events).toEqual([]);
    connection.streams.size = 1;
    keeper.wake();
    expect(connection.events).toEqual(["3600000 ping"]);
    expect(keeper.isDormant).toBe(false);
    await clock.advance(5000);
    expect(connection.events).toHaveLength(2);
  });

  it("does not ask when something was heard lately", async () => {
    const keeper = keep({ permitWithoutStream: false });
    await clock.advance(60_000);
    connection.chunksReceived++;
    connection.streams.size = 1;
    keeper.wake();
    await clock.advance(9000);
    expect(connection.events).toEqual([]);
    connection.streams.size = 0;
    await clock.advance(1000);
    expect(keeper.isDormant).toBe(true);
  });
});

describe("ConnectionKeeper and the life of a connection", () => {
  it("has an old one leave, refuses new streams 5 s later, and ends it after the grace", async () => {
    keep(never, { maxAgeMs: 60_000, maxAgeGraceMs: 10_000 });
    connection.streams.size = 1;
    await clock.advance(100_000);
    expect(connection.events).toEqual(["60000 leave max_age", "65000 refuse max_age", "70000 expire"]);
    expect(clock.pending).toBe(0);
  });

  it("has an idle one leave, counted from its last stream", async () => {
    const keeper = keep(never, { maxIdleMs: 10_000 });
    await clock.advance(8000);
    keeper.streamsOpened++;
    connection.streams.size = 1;
    await clock.advance(30_000);
    connection.streams.size = 0;
    await clock.advance(9000);
    expect(connection.events).toEqual([]);
    await clock.advance(2000);
    expect(connection.events).toEqual([expect.stringMatching(/^48\d\d\d leave max_idle$/)]);
  });

  it("sees streams that came and went between two looks", async () => {
    const keeper = keep(never, { maxIdleMs: 10_000 });
    await clock.advance(9900);
    keeper.streamsOpened++;
    await clock.advance(9900);
    expect(connection.events).toEqual([]);
    await clock.advance(600);
    expect(connection.events).toHaveLength(1);
  });

  it("leaves one alone that is drained for another reason", async () => {
    const keeper = keep(never, { maxAgeMs: 60_000, maxIdleMs: 10_000, maxAgeGraceMs: 1000 });
    await clock.advance(9000);
    keeper.draining();
    await clock.advance(100_000);
    expect(connection.events).toEqual([]);
  });
});
