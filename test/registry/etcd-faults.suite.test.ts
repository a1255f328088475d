import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, seededRandom, systemClock } from "bowline/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type EtcdOptions, etcd } from "../../packages/bowline/src/registry/etcd/index.ts";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import type { Instance, Registry } from "../../packages/bowline/src/registry/registry.ts";
import { EtcdServer } from "./etcd-server.ts";
import { Recording } from "./recording.ts";
import { realRegistry } from "./suite.ts";
import type { ToolName } from "./tools.ts";

const VERSIONS: readonly ToolName[] = ["etcd-debian", "etcd-3.5", "etcd-3.6", "etcd-3.7"];
const LOOK_MS = 10;

const reports: Error[] = [];
const open: Registry[] = [];
const recordings: Recording[] = [];
let last = 0;

/** A registry as another process would have it: those of one clock share what they have opened. */
function registryOf(options: EtcdOptions): Registry {
  const clock: Clock = {
    now: () => systemClock.now(),
    fresh: () => systemClock.fresh(),
    setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs),
    setInterval: (callback, periodMs) => systemClock.setInterval(callback, periodMs),
  };
  const report = (error: Error): void => void reports.push(error);
  const registry = etcd(options).create({ clock, random: seededRandom(++last), environment: {}, report });
  open.push(registry);
  return registry;
}

function watch(registry: Registry, service: string): Recording {
  const recording = new Recording(registry, service, ({ id }) => id);
  recordings.push(recording);
  return recording;
}

async function until(what: string, condition: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > end) {
      const seen = recordings.map((each) => each.describe()).join("\n");
      throw new Error(
        `${withinMs} ms passed before ${what}\n${seen}\n${reports.map(({ message }) => message).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const knows = (seen: Recording, ...ids: readonly string[]): Promise<void> =>
  until(
    `${ids.join(" ") || "nobody"} is known`,
    () => seen.last?.freshness === "live" && seen.keys.join(" ") === [...ids].sort().join(" "),
  );

const someInstance = (number: number): Instance => ({ ...instanceAt(`10.0.0.${number}:8080`), id: `user-${number}` });
const service = (): string => `service-${++last}`;

afterEach(async () => {
  const told = recordings.splice(0);
  for (const recording of told) recording.close();
  await Promise.all(open.splice(0).map((registry) => registry.close()));
  reports.length = 0;
  expect(told.flatMap(({ violations }) => violations)).toEqual([]);
});

for (const version of VERSIONS) {
  await realRegistry(version, [version], ([program]) => {
    alone(program);
    withUsers(program);
    withCertificates(program);
  });
}

function alone(program: string): void {
  describe("one member", { timeout: 60_000 }, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await EtcdServer.start({ program });
    }, 60_000);
    afterAll(() => server.remove(), 60_000);
    const registry = (options: Partial<EtcdOptions> = {}): Registry => registryOf({ hosts: server.hosts, ...options });

    it("holds go-zero's key and value, byte for byte, on a lease of 10 s", async () => {
      const name = service();
      await registry().register(name, someInstance(1));
      const [entry, ...more] = await server.list(`${name}/`);
      expect([entry.key, entry.value, more]).toEqual([`${name}/${entry.lease}`, "10.0.0.1:8080", []]);
      const { grantedTTL } = (await server.ask("lease/timetolive", { ID: entry.lease })) as { grantedTTL: string };
      expect(grantedTTL).toBe("10");
      const [details] = await server.list(`bowline/instances/${name}/`);
      expect([details.key, details.lease]).toEqual([`bowline/instances/${name}/${entry.lease}`, entry.lease]);
    });

    it("is read as Go services write it", async () => {
      const name = service();
      const lease = await server.grant(10);
      await server.put(`${name}/${lease}`, "10.0.0.7:8080", lease);
      const seen = watch(registry(), name);
      await knows(seen, "10.0.0.7:8080");
      await server.revoke(lease);
      await knows(seen);
    });

    it("gives a registration back whose lease was revoked, at once", async () => {
      const name = service();
      const registration = await registry({ ttlSeconds: 6 }).register(name, someInstance(1));
      const seen = watch(registry(), name);
      await knows(seen, "user-1");
      const [{ lease }] = await server.list(`${name}/`);
      await server.revoke(lease);
      await until(
        "it is back on another lease",
        async () => {
          const [entry] = await server.list(`${name}/`);
          return entry !== undefined && entry.lease !== lease;
        },
        2000,
      );
      await knows(seen, "user-1");
      expect(registration.state).toBe("registered");
    });

    it("keeps a registration alive for many lives of its lease", async () => {
      const name = service();
      await registry({ ttlSeconds: 2 }).register(name, someInstance(1));
      const seen = watch(registry(), name);
      await knows(seen, "user-1");
      const [{ lease }] = await server.list(`${name}/`);
      await new Promise((resolve) => setTimeout(resolve, 7000));
      expect((await server.list(`${name}/`)).map((entry) => entry.lease)).toEqual([lease]);
      expect(seen.snapshots.length).toBeLessThanOrEqual(2);
    });

    it("misses nothing and brings nothing back when the history is compacted while the watch is cut off", async () => {
      const name = service();
      for (const number of [1, 2, 3]) await server.put(`${name}/${number}`, `10.0.0.${number}:80`);
      const seen = watch(registry(), name);
      await knows(seen, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80");
      await server.stop();
      await until("it is stale", () => seen.last?.freshness === "stale");
      // Nobody can write while it is down: the first of all to write is the test, before the watch is back.
      await server.resume();
      await server.delete(`${name}/1`);
      await server.put(`${name}/4`, "10.0.0.4:80");
      await server.compact();
      await knows(seen, "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80");
      await server.delete(`${name}/2`);
      await server.compact();
      await knows(seen, "10.0.0.3:80", "10.0.0.4:80");
    });

    it("may be restarted: registrations keep their lease, and who watches hears of no loss", async () => {
      const name = service();
      const registration = await registry().register(name, someInstance(1));
      const seen = watch(registry(), name);
      await knows(seen, "user-1");
      const [{ lease }] = await server.list(`${name}/`);
      for (let i = 0; i < 3; i++) {
        await server.stop(i === 1 ? "SIGTERM" : "SIGKILL");
        await server.resume();
      }
      await knows(seen, "user-1");
      await until("it is registered", () => registration.state === "registered");
      expect((await server.list(`${name}/`)).map((entry) => entry.lease)).toEqual([lease]);
      expect(seen.snapshots.filter(({ instances }) => instances.length > 0).length).toBe(seen.snapshots.length);
    });

    it("tells 500 services over one stream", async () => {
      const one = registry();
      const name = service();
      const watches = Array.from({ length: 500 }, (_, at) => watch(one, `${name}-${at}`));
      await until("all are known to be empty", () => watches.every(({ last }) => last?.freshness === "live"));
      const lease = await server.grant(60);
      for (let at = 0; at < 500; at += 50) {
        await Promise.all(
          Array.from({ length: 50 }, (_, i) => server.put(`${name}-${at + i}/1`, `10.0.0.1:${at + i + 1}`, lease)),
        );
      }
      await until("all know their instance", () => watches.every(({ last }) => last?.instances.length === 1));
      await server.revoke(lease);
      await until("all are empty again", () => watches.every(({ last }) => last?.instances.length === 0));
    });

    it("is read anew with 5,000 instances within 2 s, without holding up the process", async () => {
      const name = service();
      const writer = registry();
      const all = Array.from({ length: 5000 }, (_, at) => ({
        ...instanceAt(`10.${at >> 12}.${(at >> 6) & 63}.${at & 63}:8080`),
        id: `user-${at}`,
        weight: 2,
        zone: "zone-1",
        tags: { canary: "no" },
      }));
      await Promise.all(all.map((instance) => writer.register(name, instance)));
      const begun = performance.now();
      const longest = longestTurn();
      const seen = watch(registry(), name);
      await until("all are known", () => seen.last?.instances.length === 5000, 10_000);
      const took = performance.now() - begun;
      process.stderr.write(`resync of 5,000: ${Math.round(took)} ms, longest turn ${Math.round(longest())} ms\n`);
      expect(seen.failures).toEqual([]);
    });
  });
}

/** The most work, in ms of processor time, that was done so far without the event loop's next turn; a busy machine adds nothing to it. */
function longestTurn(): () => number {
  let longest = 0;
  let before = workMs();
  let isOver = false;
  const look = (): void => {
    const now = workMs();
    longest = Math.max(longest, now - before);
    before = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    isOver = true;
    return longest;
  };
}

function workMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function withUsers(program: string): void {
  describe("users", { timeout: 60_000 }, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await EtcdServer.start({ program });
      await server.enableUsers("shop", ["shop-1/", "bowline/instances/shop-1/"]);
    }, 60_000);
    afterAll(() => server.remove(), 60_000);
    const registry = (options: Partial<EtcdOptions>): Registry => registryOf({ hosts: server.hosts, ...options });
    const shop = { user: "shop", password: "shop" };

    it("with a password and the rights register and watch", async () => {
      const one = registry(shop);
      const registration = await one.register("shop-1", someInstance(1));
      expect(registration.state).toBe("registered");
      await knows(watch(one, "shop-1"), "user-1");
    });

    it("with a wrong password hear it at once, in one clear error", async () => {
      const wrong = registry({ ...shop, password: "wr0ng" });
      await expect(wrong.register("shop-1", someInstance(1))).rejects.toThrow(
        /logging in as "shop": .*options user and password/,
      );
      const seen = watch(wrong, "shop-1");
      await until("the watch fails", () => seen.failures.length > 0);
      expect(seen.messages.join()).not.toContain("wr0ng");
    });

    it("that are missing are asked for", async () => {
      await expect(registry({}).register("shop-1", someInstance(1))).rejects.toThrow(
        /set the options user and password/,
      );
    });

    it("without the right hear which one, and go on when they have it", async () => {
      const one = registry(shop);
      await expect(one.register("shop-2", someInstance(1))).rejects.toThrow(
        /may not write "shop-2\/" and "bowline\/instances\/shop-2\/"/,
      );
      const seen = watch(one, "shop-2");
      await until("the watch fails", () => seen.failures.length > 0);
      expect(seen.messages[0]).toMatch(/may not read the keys of "shop-2\/"/);
      await server.grantRight("shop", "shop-2/");
      await server.grantRight("shop", "bowline/instances/shop-2/");
      await until("the watch works", () => seen.last?.freshness === "live", 25_000);
    });

    it("survive a restart, which forgets all tokens, and a change of rights, which outdates them", async () => {
      const one = registry(shop);
      const registration = await one.register("shop-1", someInstance(1));
      const seen = watch(one, "shop-1");
      await knows(seen, "user-1");
      await server.stop();
      await server.resume();
      await server.logIn("root");
      await server.grantRight("shop", "shop-3/");
      await until("it can be updated", () =>
        registration.update({ weight: 3 }).then(
          () => true,
          () => false,
        ),
      );
      await until("the change is seen", () => seen.last?.instances[0]?.weight === 3 && seen.last.freshness === "live");
      expect(registration.state).toBe("registered");
    });
  });
}

function withCertificates(program: string): void {
  describe("certificates", { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "bowline-etcd-tls-"));
    const file = (name: string): string => join(folder, name);
    let server: EtcdServer;
    beforeAll(async () => {
      makeCertificates(folder);
      const args = [
        "--cert-file",
        file("server.pem"),
        "--key-file",
        file("server.key"),
        "--trusted-ca-file",
        file("ca.pem"),
      ];
      server = await EtcdServer.start({ program, scheme: "https", args: [...args, "--client-cert-auth"] });
    }, 60_000);
    afterAll(async () => {
      await server.remove();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);
    const mutual = { authorities: file("ca.pem"), certificate: file("client.pem"), key: file("client.key") };
    const registry = (tls: EtcdOptions["tls"]): Registry =>
      registryOf({ hosts: server.hosts, ...(tls === undefined ? {} : { tls }) });

    it("on both sides let a registry in", async () => {
      const name = service();
      const one = registry(mutual);
      expect((await one.register(name, someInstance(1))).state).toBe("registered");
      await knows(watch(one, name), "user-1");
    });

    const wrong: readonly [string, EtcdOptions["tls"] | "none", RegExp][] = [
      ["no certificate of its own", { authorities: file("ca.pem") }, /certificate/i],
      ["another authority", { ...mutual, authorities: file("other.pem") }, /certificate|authorit/i],
      ["another name", { ...mutual, serverName: "elsewhere.example" }, /elsewhere\.example/],
      ["plaintext", "none", /TLS|tls/],
    ];
    it.each(wrong)("with %s say so in the report, and the registration is pending", async (_what, tls, message) => {
      const registration = await registry(tls === "none" ? undefined : tls).register(service(), someInstance(1));
      expect(registration.state).toBe("pending");
      await until("it is reported", () => reports.length > 0);
      expect(reports.map(({ message: text }) => text).join("\n")).toMatch(message);
    });

    it("are not looked at where that is asked for by its name", async () => {
      const tls = { ...mutual, authorities: file("other.pem"), dangerouslySkipVerification: true };
      expect((await registry(tls).register(service(), someInstance(1))).state).toBe("registered");
    });

    it("may be on etcd's side alone", async () => {
      const args = ["--cert-file", file("server.pem"), "--key-file", file("server.key")];
      const other = await EtcdServer.start({ program, scheme: "https", args });
      try {
        const one = registryOf({ hosts: other.hosts, tls: { authorities: file("ca.pem") } });
        expect((await one.register(service(), someInstance(1))).state).toBe("registered");
        await one.close();
      } finally {
        await other.remove();
      }
    });
  });
}

/** An authority, a certificate of it for 127.0.0.1 and one for a client, and another authority. */
function makeCertificates(folder: string): void {
  const openssl = (...args: readonly string[]): void =>
    void execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  for (const name of ["ca", "other"]) {
    openssl("req", "-x509", ...key, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${name}`);
  }
  for (const name of ["server", "client"]) {
    const extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth"];
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
      "-subj",
      `/CN=${name}`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      ...extensions,
    );
  }
}
