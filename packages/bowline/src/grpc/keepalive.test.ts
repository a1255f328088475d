import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ConnectionLifetime,
  calmerKeepalive,
  clientKeepalive,
  connectionLifetime,
  Keepalive,
  type KeepaliveOptions,
  PingStrikes,
  pingPolicy,
  serverKeepalive,
} from "./keepalive.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A connection's owner: one timer, armed for `nextCheckAt`, and a log of what it was told to do. */
class Owner {
  now = 5;
  streams = 0;
  readonly log: string[] = [];
  readonly keepalive: Keepalive;

  constructor(options: KeepaliveOptions) {
    this.keepalive = new Keepalive(options, this.now);
  }

  /** Lets time pass; the timer fires exactly when it is due. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = this.keepalive.nextCheckAt(this.streams);
      if (due > end || this.log.at(-1)?.startsWith("dead")) break;
      this.now = Math.max(this.now, due);
      this.check();
    }
    this.now = end;
  }

  /** Nothing of this process runs for so long; the timer fires late. */
  stall(ms: number): void {
    this.now += ms;
    this.check();
  }

  receive(): void {
    this.keepalive.received(this.now);
  }

  openStream(): void {
    this.streams++;
    this.check();
  }

  check(): void {
    const action = this.keepalive.check(this.now, this.streams);
    if (action !== "nothing") this.log.push(`${action} ${this.now - 5}`);
  }
}

describe("keepalive options", () => {
  it("are off for clients, and every two hours for servers", () => {
    expect(clientKeepalive()).toEqual({
      timeMs: Number.POSITIVE_INFINITY,
      timeoutMs: 20_000,
      permitWithoutStream: false,
    });
    expect(serverKeepalive()).toEqual({ timeMs: 2 * HOUR, timeoutMs: 20_000, permitWithoutStream: true });
  });

  it("say what is wrong with them", () => {
    expect(() => clientKeepalive({ timeMs: 9999 })).toThrow(/keepalive\.timeMs is 9999: .* at least 10000/);
    expect(() => clientKeepalive({ timeMs: Number.NaN })).toThrow(RangeError);
    expect(() => clientKeepalive({ timeoutMs: 0 })).toThrow(/keepalive\.timeoutMs is 0/);
    expect(() => serverKeepalive({ timeMs: -1 })).toThrow(RangeError);
    expect(clientKeepalive({ timeMs: 10_000 }).timeMs).toBe(10_000);
    expect(serverKeepalive({ timeMs: 1000 }).timeMs).toBe(1000);
  });

  it("become calmer when the server complains", () => {
    expect(calmerKeepalive(clientKeepalive({ timeMs: 10_000, timeoutMs: 7 }))).toEqual({
      timeMs: 20_000,
      timeoutMs: 7,
      permitWithoutStream: false,
    });
  });
});

describe("keepalive", () => {
  const options = clientKeepalive({ timeMs: 10 * SECOND, timeoutMs: 5 * SECOND });

  it("never asks by default", () => {
    const owner = new Owner(clientKeepalive());
    owner.openStream();
    owner.advance(1000 * HOUR);
    expect(owner.log).toEqual([]);
    expect(owner.keepalive.nextCheckAt(1)).toBe(Number.POSITIVE_INFINITY);
  });

  it("asks a quiet peer and gives it up when it stays quiet", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(HOUR);
    expect(owner.log).toEqual(["ping 10000", "dead 15000"]);
  });

  it("asks again as long as it gets answers, counting from the answer", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(12 * SECOND);
    owner.receive();
    owner.advance(11 * SECOND);
    owner.receive();
    owner.advance(20 * SECOND);
    expect(owner.log).toEqual(["ping 10000", "ping 22000", "ping 33000", "dead 38000"]);
  });

  it("takes whatever arrives for a sign of life", () => {
    const owner = new Owner(options);
    owner.openStream();
    for (let i = 0; i < 100; i++) {
      owner.advance(9999);
      owner.receive();
    }
    expect(owner.log).toEqual([]);
    owner.advance(14_999);
    owner.receive();
    owner.advance(1);
    expect(owner.log).toEqual(["ping 1009900"]);
  });

  it("asks nothing without streams, unless permitted", () => {
    const silent = new Owner(options);
    silent.advance(HOUR);
    expect(silent.log).toEqual([]);
    const permitted = new Owner({ ...options, permitWithoutStream: true });
    permitted.advance(10 * SECOND);
    expect(permitted.log).toEqual(["ping 10000"]);
  });

  it("tests a connection that was quiet too long when its first stream opens", () => {
    const owner = new Owner(options);
    owner.advance(HOUR);
    owner.openStream();
    owner.advance(HOUR);
    expect(owner.log).toEqual(["ping 3600000", "dead 3605000"]);
  });

  it("does not test one that was heard of lately when its first stream opens", () => {
    const owner = new Owner(options);
    owner.advance(HOUR);
    owner.receive();
    owner.advance(4 * SECOND);
    owner.openStream();
    expect(owner.log).toEqual([]);
    owner.advance(6 * SECOND);
    expect(owner.log).toEqual(["ping 3610000"]);
  });

  it("still waits for the answer when the last stream has ended", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(11 * SECOND);
    owner.streams = 0;
    owner.advance(HOUR);
    expect(owner.log).toEqual(["ping 10000", "dead 15000"]);
  });

  it("does not call a peer dead because this process did not run", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(10 * SECOND);
    owner.stall(30 * SECOND);
    expect(owner.log).toEqual(["ping 10000"]);
    owner.advance(50);
    owner.receive();
    owner.advance(5 * SECOND);
    expect(owner.log).toEqual(["ping 10000"]);
  });

  it("does not call a peer dead because a block of this process ended just behind its time", () => {
    for (const lateMs of [0.1, 1, 50, 99]) {
      const owner = new Owner(options);
      owner.openStream();
      owner.advance(10 * SECOND);
      owner.stall(5 * SECOND + lateMs);
      expect(owner.log).toEqual(["ping 10000"]);
      owner.receive();
      owner.advance(5 * SECOND);
      expect(owner.log).toEqual(["ping 10000"]);
    }
  });

  it("calls it dead after a respite if it really is, although each look is a little late", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(10 * SECOND);
    owner.stall(5 * SECOND + 3);
    owner.stall(99);
    expect(owner.log).toEqual(["ping 10000"]);
    owner.stall(6);
    expect(owner.log).toEqual(["ping 10000", "dead 15108"]);
  });

  it("calls it dead after the respite if it really is", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(10 * SECOND);
    owner.stall(30 * SECOND);
    owner.advance(99);
    expect(owner.log).toEqual(["ping 10000"]);
    owner.advance(1);
    expect(owner.log).toEqual(["ping 10000", "dead 40100"]);
  });

  it("calls it dead in the end, also in a process that is always late", () => {
    const owner = new Owner(options);
    owner.openStream();
    owner.advance(10 * SECOND);
    owner.stall(5 * SECOND + 200);
    for (let look = 0; look < 4; look++) owner.stall(300);
    expect(owner.log).toEqual(["ping 10000"]);
    owner.stall(300);
    expect(owner.log).toEqual(["ping 10000", "dead 16700"]);
  });

  it("finds a dead peer within time and timeout, and no living one", () => {
    const pauses = fc.array(fc.integer({ min: 1, max: 14_999 }), { maxLength: 30 });
    fc.assert(
      fc.property(pauses, (gaps) => {
        const owner = new Owner(options);
        owner.openStream();
        for (const gap of gaps) {
          owner.advance(gap);
          owner.receive();
        }
        expect(owner.log.every((entry) => entry.startsWith("ping"))).toBe(true);
        const heard = owner.now - 5;
        owner.advance(HOUR);
        expect(owner.log.at(-1)).toBe(`dead ${heard + 15_000}`);
      }),
    );
  });
});

describe("ping strikes", () => {
  it("say what is wrong with a policy", () => {
    expect(pingPolicy()).toEqual({ minTimeMs: 5 * MINUTE, permitWithoutStream: false });
    expect(() => pingPolicy({ minTimeMs: -1 })).toThrow(/pings\.minTimeMs is -1/);
    expect(() => pingPolicy({ minTimeMs: Number.NaN })).toThrow(RangeError);
  });

  it("let a patient client ping for ever", () => {
    const strikes = new PingStrikes(pingPolicy(), 2);
    for (let i = 0; i < 1000; i++) expect(strikes.received(i * 5 * MINUTE, 1)).toBe(false);
  });

  it("end with the third untimely ping", () => {
    const strikes = new PingStrikes(pingPolicy(), 2);
    expect([0, 1, 2, 3].map((i) => strikes.received(i * MINUTE, 1))).toEqual([false, false, false, true]);
  });

  it("end with the first untimely ping beyond those that are allowed", () => {
    const strikes = new PingStrikes(pingPolicy(), 5);
    const seen = [0, 1, 2, 3, 4, 5, 6].map((i) => strikes.received(i * MINUTE, 0));
    expect(seen).toEqual([false, false, false, false, false, false, true]);
    expect([0, 1].map((i) => new PingStrikes(pingPolicy(), i).received(0, 0))).toEqual([false, false]);
  });

  it("allow pings without streams every two hours only", () => {
    const strikes = new PingStrikes(pingPolicy(), 2);
    const times = [0, 2 * HOUR, 4 * HOUR, 4 * HOUR + 6 * MINUTE, 5 * HOUR, 6 * HOUR - 1];
    expect(times.map((now) => strikes.received(now, 0))).toEqual([false, false, false, false, false, true]);
    const permitted = new PingStrikes(pingPolicy({ permitWithoutStream: true }), 2);
    for (let i = 0; i < 100; i++) expect(permitted.received(i * 5 * MINUTE, 0)).toBe(false);
  });

  it("are forgiven when HEADERS or DATA are sent", () => {
    const strikes = new PingStrikes(pingPolicy(), 2);
    for (let i = 0; i < 3; i++) expect(strikes.received(i, 1)).toBe(false);
    strikes.sent();
    for (let i = 3; i < 6; i++) expect(strikes.received(i, 1)).toBe(false);
    expect(strikes.received(6, 1)).toBe(true);
  });

  it("leave a client alone that measures the bandwidth with a ping a round trip while data flows", () => {
    const strikes = new PingStrikes(pingPolicy(), 2);
    for (let i = 0; i < 100_000; i++) {
      strikes.sent();
      expect(strikes.received(i * 0.1, 1)).toBe(false);
    }
  });

  it("allow any pace where the policy does", () => {
    const strikes = new PingStrikes(pingPolicy({ minTimeMs: 0, permitWithoutStream: true }), 2);
    for (let i = 0; i < 1000; i++) expect(strikes.received(7, 0)).toBe(false);
  });

  it("never end a connection whose pings are as far apart as our own client's keepalive", () => {
    const policy = pingPolicy({ minTimeMs: 10_000 });
    const gaps = fc.array(fc.integer({ min: 10_000, max: 100_000 }), { maxLength: 50 });
    fc.assert(
      fc.property(gaps, (each) => {
        const strikes = new PingStrikes(policy, 2);
        let now = 0;
        for (const gap of each) expect(strikes.received((now += gap), 1)).toBe(false);
      }),
    );
  });
});

describe("the lifetime of a connection", () => {
  it("says what is wrong with its options", () => {
    expect(() => connectionLifetime({ maxAgeMs: 0 })).toThrow(/connection\.maxAgeMs is 0/);
    expect(() => connectionLifetime({ maxAgeGraceMs: -1 })).toThrow(/maxAgeGraceMs/);
    expect(() => connectionLifetime({ maxIdleMs: Number.NaN })).toThrow(/maxIdleMs/);
  });

  it("is without end by default", () => {
    const life = new ConnectionLifetime(connectionLifetime(), () => 0.5, 0);
    expect(life.nextCheckAt).toBe(Number.POSITIVE_INFINITY);
    expect(life.check(1e12)).toBe("nothing");
  });

  it.each([
    [0, 90],
    [0.5, 100],
    [0.999_999, 110],
  ])("with chance %d ends after %d % of its age", (chance, percent) => {
    const life = new ConnectionLifetime(connectionLifetime({ maxAgeMs: HOUR }), () => chance, 1000);
    expect(life.nextCheckAt).toBeCloseTo(1000 + (HOUR * percent) / 100, -1);
    expect(life.check(life.nextCheckAt - 1)).toBe("nothing");
    expect(life.check(life.nextCheckAt)).toBe("max_age");
  });

  it("lets calls end for the grace, then closes, saying each once", () => {
    const life = new ConnectionLifetime(connectionLifetime({ maxAgeMs: HOUR, maxAgeGraceMs: MINUTE }), () => 0.5, 0);
    life.busy();
    expect(life.check(HOUR)).toBe("max_age");
    expect(life.nextCheckAt).toBe(HOUR + MINUTE);
    expect(life.check(HOUR + MINUTE - 1)).toBe("nothing");
    expect(life.check(HOUR + MINUTE)).toBe("close");
    expect(life.check(HOUR + MINUTE)).toBe("nothing");
    expect(life.nextCheckAt).toBe(Number.POSITIVE_INFINITY);
  });

  it("ends when no stream was open for long enough, from its start or the last stream's end", () => {
    const options = connectionLifetime({ maxIdleMs: MINUTE });
    expect(new ConnectionLifetime(options, () => 0.5, 0).check(MINUTE)).toBe("max_idle");
    const life = new ConnectionLifetime(options, () => 0.5, 0);
    life.busy();
    expect(life.nextCheckAt).toBe(Number.POSITIVE_INFINITY);
    expect(life.check(HOUR)).toBe("nothing");
    life.idle(HOUR);
    expect(life.nextCheckAt).toBe(HOUR + MINUTE);
    life.busy();
    life.idle(HOUR + 30 * SECOND);
    expect(life.check(HOUR + MINUTE)).toBe("nothing");
    expect(life.check(HOUR + 90 * SECOND)).toBe("max_idle");
  });

  it("is ended by age though it is busy, and by idleness though it is young", () => {
    const options = connectionLifetime({ maxAgeMs: HOUR, maxIdleMs: MINUTE });
    const busy = new ConnectionLifetime(options, () => 0.5, 0);
    busy.busy();
    expect(busy.check(HOUR)).toBe("max_age");
    expect(new ConnectionLifetime(options, () => 0.5, 0).check(MINUTE)).toBe("max_idle");
  });

  it("says nothing more once it is drained for another reason", () => {
    const life = new ConnectionLifetime(connectionLifetime({ maxAgeMs: HOUR, maxIdleMs: MINUTE }), () => 0.5, 0);
    life.draining();
    expect(life.check(10 * HOUR)).toBe("nothing");
    expect(life.nextCheckAt).toBe(Number.POSITIVE_INFINITY);
  });
});
