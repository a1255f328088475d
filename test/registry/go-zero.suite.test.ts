import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Code, RpcError } from "bowline";
import { appCredentials } from "bowline/auth";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CheckSummary, Fleet, type FleetServer, type LoadResult, SteadyCalls } from "../interop/go-zero/fleet.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../peers/go-programs.ts";
import { EtcdServer } from "./etcd-server.ts";
import { realRegistry } from "./suite.ts";

const PATIENCE_MS = 40_000;
const AUTH = "shop:s3cret";
const TRACE = "0af7651916cd43dd8448eb211c80319c";

async function eventually(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function errorOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!RpcError.is(error)) throw new Error(`expected an RpcError, got ${String(error)}`);
  return error;
}

const programs = buildGoPrograms("gozero-server", "gozero-client", "gozero-ring");
if (programs === undefined) {
  describe("a fleet of go-zero and Bowline", () => it.skipIf(true)(`needs Go: ${GO_PROGRAMS_MISSING}`, () => {}));
} else {
  await realRegistry("a fleet of go-zero and Bowline", ["etcd-3.6"], ([program]) => sideBySide(program, programs));
}

function sideBySide(etcdProgram: string, folder: string): void {
  describe("on one key of one etcd", { timeout: 8 * PATIENCE_MS }, () => {
    let etcd: EtcdServer;
    let fleet: Fleet;
    let count = 0;
    beforeAll(async () => {
      etcd = await EtcdServer.start({ program: etcdProgram });
    }, PATIENCE_MS);
    afterAll(() => etcd?.remove());
    beforeEach(() => {
      fleet = new Fleet(etcd.hosts[0], `echo-${++count}.rpc`, folder);
    });
    afterEach(() => fleet.close(), PATIENCE_MS);

    /** Resolves when calls have been answered by all of these. */
    const answeredBy = (calls: SteadyCalls, ...servers: readonly FleetServer[]): Promise<void> =>
      eventually(`${servers.map(({ id }) => id).join(", ")} answer`, () =>
        servers.every(({ id }) => (calls.answers.get(id) ?? 0) > 0),
      );

    it("both write the same: key, value and lease, byte for byte", async () => {
      const servers = await fleet.serveBoth(1);
      const entries = await etcd.list(`${fleet.key}/`);
      expect(entries.map(({ value }) => value).sort()).toEqual(servers.map(({ address }) => address).sort());
      for (const { key, value, lease } of entries) {
        expect(key).toBe(`${fleet.key}/${lease}`);
        const { grantedTTL, keys } = (await etcd.ask("lease/timetolive", { ID: lease, keys: true })) as {
          grantedTTL: string;
          keys: readonly string[];
        };
        const held = keys.map((each) => Buffer.from(each, "base64").toString()).sort();
        const isOwn = servers.find(({ address }) => address === value)?.kind === "bowline";
        expect([grantedTTL, held]).toEqual(["10", isOwn ? [`bowline/instances/${key}`, key] : [key]]);
      }
    });

    it("both leave at once with SIGTERM, and with their lease when they are killed", async () => {
      const servers = await fleet.serveBoth(2);
      const values = async (): Promise<string[]> => (await etcd.list(`${fleet.key}/`)).map(({ value }) => value).sort();
      const [go, own, ...killed] = servers;
      await Promise.all([go.process.stop(), own.process.stop()]);
      expect(await values()).toEqual(killed.map(({ address }) => address).sort());
      for (const { process } of killed) process.kill();
      await eventually("the leases are over", async () => (await values()).length === 0);
      expect(await etcd.list(`bowline/instances/${fleet.key}/`)).toEqual([]);
    });

    it("a go-zero client is served by both: all kinds of calls, errors, deadline, trace, app and token", async () => {
      const check = async (servers: number): Promise<void> => {
        const expected = ["-expect-servers", String(servers), "-expect-within", "30s"];
        const client = fleet.goClient("-auth", AUTH, "-trace", ...expected);
        const { passed, failed } = (await client.next("summary", 2 * PATIENCE_MS)) as CheckSummary;
        expect([failed, passed]).toEqual([[], 23]);
      };
      await fleet.serve("bowline", { auth: AUTH });
      await check(1);
      await fleet.serveBoth(2, { auth: AUTH });
      await check(5);
    });

    it("a go-zero client with a wrong token, or none, is refused by both", async () => {
      for (const kind of ["go-zero", "bowline"] as const) {
        const alone = new Fleet(etcd.hosts[0], `${fleet.key}-${kind}`, folder);
        try {
          await alone.serve(kind, { auth: AUTH });
          for (const [args, text] of [
            [["-auth", "shop:guess"], "access denied"],
            [[], "app/token required"],
          ] as const) {
            const check = alone.goClient(...args, "-expect-code", "UNAUTHENTICATED").next("check");
            expect([kind, await check]).toMatchObject([kind, { ok: true, detail: text }]);
          }
        } finally {
          await alone.close();
        }
      }
    });

    it("a Bowline client is served by both, with app and token, deadline and trace", async () => {
      const servers = await fleet.serveBoth(2, { auth: AUTH });
      const [app, token] = AUTH.split(":");
      const client = fleet.client({ credentials: appCredentials({ app, token, allowPlaintext: true }) });
      const seen = new Map<string, Record<string, unknown>>();
      const metadata = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
      await eventually("all have answered", async () => {
        const { serverId, call } = await client.unary({ describe: true }, { timeoutMs: 20_000, metadata });
        const read = (key: string): string =>
          (call?.metadata[key]?.values ?? []).map((value) => Buffer.from(value).toString()).join();
        seen.set(serverId, {
          leftMs: Number(call?.remainingDeadlineMs),
          trace: read("traceparent").split("-")[1],
          app: read("app"),
          token: read("token"),
        });
        return seen.size === servers.length;
      });
      for (const { id, kind } of servers) {
        expect(seen.get(id)).toMatchObject({ trace: TRACE, app, token });
        // go-zero's server gives a handler 2 s at most.
        const limitMs = kind === "go-zero" ? 2000 : 20_000;
        const leftMs = seen.get(id)?.leftMs as number;
        expect(leftMs).toBeGreaterThan(0);
        expect(leftMs).toBeLessThanOrEqual(limitMs);
        if (kind === "bowline") expect(leftMs).toBeGreaterThan(2000);
      }
    });

    it("a Bowline client with a wrong token, or none, is refused by both in the same words", async () => {
      const servers = await fleet.serveBoth(1, { auth: AUTH });
      const wrong = fleet.client({
        credentials: appCredentials({ app: "shop", token: "guess", allowPlaintext: true }),
      });
      for (const [client, text] of [
        [wrong, "access denied"],
        [fleet.client(), "app/token required"],
      ] as const) {
        const refusedBy = new Set<string | undefined>();
        await eventually("both have refused", async () => {
          const error = await errorOf(client.unary({}, { timeoutMs: 10_000 }));
          expect([error.code, error.text]).toEqual([Code.UNAUTHENTICATED, text]);
          refusedBy.add(error.instance);
          return refusedBy.size === servers.length;
        });
      }
    });

    it("a deadline that passes ends calls on both sides alike, and go-zero's own limit is told as what it is", async () => {
      const servers = await fleet.serveBoth(1);
      const client = fleet.client();
      const ended = new Set<string | undefined>();
      await eventually("both have been waited for in vain", async () => {
        const error = await errorOf(client.slow({ sleepMs: 60_000 }, { timeoutMs: 500 }));
        expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
        ended.add(error.instance);
        return ended.size === servers.length;
      });
      await servers[1].process.stop();
      await eventually("go-zero ends it by itself", async () => {
        const error = await errorOf(client.slow({ sleepMs: 60_000 }, { timeoutMs: 30_000 }));
        return error.text === "context deadline exceeded" && error.origin === "remote";
      });
    });

    it("go-zero's ring and Bowline's give 10,000 keys to the same instances", async () => {
      for (let i = 0; i < 5; i++) await fleet.serve("bowline");
      const client = fleet.client({ balancer: "consistent_hash" });
      await client.channel.connect();
      await eventually("all are connected", () => {
        return client.channel.endpoints.filter(({ isReady }) => isReady).length === 5;
      });
      const keys = Array.from({ length: 10_000 }, (_, i) => `user-${i * 7919}`);
      const addresses = client.channel.endpoints.map(({ address }) => address);
      const input = keys.map((key) => `${key}\n`).join("");
      const ring = execFileSync(join(folder, "gozero-ring"), addresses, { input, encoding: "utf8" });
      const expected = ring.trim().split("\n");
      const seen: string[] = [];
      for (let at = 0; at < keys.length; at += 50) {
        const batch = keys.slice(at, at + 50);
        const calls = batch.map((hashKey) => client.unary({}, { hashKey, timeoutMs: 20_000 }));
        for (const { serverId } of await Promise.all(calls)) seen.push(serverId);
      }
      // Which server has which address the servers said themselves.
      expect(seen.map((id) => fleet.addressOf(id))).toEqual(expected);
      expect(new Set(seen).size).toBe(5);
    });

    it("go-zero's open breaker is an UNAVAILABLE of the server, with its own words", async () => {
      await fleet.serve("go-zero");
      const client = fleet.client();
      await eventually("the breaker is open", async () => {
        const error = await errorOf(client.fail({ code: Code.DATA_LOSS, message: "on purpose" }));
        if (error.text === "on purpose") return false;
        expect([error.code, error.text, error.origin]).toEqual([Code.UNAVAILABLE, "circuit breaker is open", "remote"]);
        return true;
      });
      // It is one method's breaker.
      expect((await client.unary({})).serverId).toBe("go-zero-1");
    });

    // Elsewhere go-zero reads no load.
    it.skipIf(process.platform !== "linux")(
      "go-zero's shed call is a RESOURCE_EXHAUSTED of the server, with its own words",
      async () => {
        await fleet.serve("go-zero", { cpuThreshold: 1 });
        const client = fleet.client();
        const shed: RpcError[] = [];
        let isOver = false;
        const rows = Array.from({ length: 200 }, async () => {
          while (!isOver) {
            const error = await client.slow({ sleepMs: 50 }, { timeoutMs: 20_000 }).then(
              () => undefined,
              (thrown: unknown) => RpcError.from(thrown),
            );
            if (error?.code === Code.RESOURCE_EXHAUSTED) shed.push(error);
          }
        });
        try {
          await eventually("a call is shed", () => shed.length > 0);
        } finally {
          isOver = true;
          await Promise.all(rows);
        }
        expect([shed[0].text, shed[0].origin]).toEqual(["service overloaded", "remote"]);
      },
    );

    it("a Bowline client loses no idempotent call while servers of both are killed and stopped and come back", async () => {
      const [go, own, otherGo, otherOwn] = await fleet.serveBoth(2);
      const calls = new SteadyCalls(fleet.client(), 8);
      await answeredBy(calls, go, own, otherGo, otherOwn);
      for (const { kind, address, process } of [go, own]) {
        process.kill();
        await process.stop();
        // At the address of the one that was killed, whose entry is still there.
        await answeredBy(calls, await fleet.serve(kind, { listen: address }));
      }
      for (const { kind, process } of [otherGo, otherOwn]) {
        await process.stop();
        await answeredBy(calls, await fleet.serve(kind));
      }
      await calls.stop();
      expect(calls.failures).toEqual([]);
    });

    it("a go-zero client loses no call while servers of both are stopped and come back", async () => {
      const [go, own] = await fleet.serveBoth(2);
      const load = fleet.goClient(
        "-load",
        "-c",
        "8",
        "-rate",
        "200",
        "-d",
        "20s",
        "-call-timeout",
        "15s",
        "-timeout",
        "0",
      );
      const result = load.next("load", 2 * PATIENCE_MS);
      await load.next("begin");
      const fresh: FleetServer[] = [];
      for (const { kind, process } of [go, own]) {
        await process.stop();
        fresh.push(await fleet.serve(kind));
      }
      const { errors, by_error, by_server } = (await result) as LoadResult;
      expect([errors, by_error]).toEqual([0, undefined]);
      for (const { id } of fresh) expect(by_server[id]).toBeGreaterThan(0);
    });

    it("a go-zero client, which never repeats, loses only the calls that a killed server had in hand", async () => {
      const [go, own] = await fleet.serveBoth(2);
      const rows = 8;
      const load = fleet.goClient(
        ...["-load", "-c", String(rows), "-rate", "200", "-d", "15s", "-call-timeout", "10s", "-timeout", "0"],
      );
      const result = load.next("load", 2 * PATIENCE_MS);
      await load.next("begin");
      const fresh: FleetServer[] = [];
      for (const { kind, address, process } of [go, own]) {
        process.kill();
        await process.stop();
        fresh.push(await fleet.serve(kind, { listen: address }));
      }
      const { ok, errors, by_error = {}, by_server } = (await result) as LoadResult;
      expect(errors).toBeLessThanOrEqual(2 * rows);
      expect(Object.keys(by_error).filter((text) => !text.startsWith("Unavailable"))).toEqual([]);
      expect(ok).toBeGreaterThan(100 * rows);
      expect(Object.keys(by_server)).toEqual(expect.arrayContaining(fresh.map(({ id }) => id)));
    });
  });
}
