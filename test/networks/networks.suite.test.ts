import { describe, expect, it } from "vitest";
import type { Host } from "../chaos/network/host.ts";
import { bowline, Caller, type Served, serve } from "./people.ts";
import { PATIENCE_MS, useScene } from "./scene.ts";
import type { ServerPlan } from "./server-plan.ts";
import type { Site } from "./sites.ts";
import { networkSuite } from "./suite.ts";

const PORT = 8080;

await networkSuite("a server and its client in two networks, one etcd", (program) => {
  describe("between them NAT", { timeout: PATIENCE_MS }, () => {
    let siteA: Site;
    let siteB: Site;
    let hostA: Host;
    let hostB: Host;
    let caller: Caller;
    /** Address and port that lead to the server from outside. */
    let outside = "";
    const scene = useScene(program, async ({ world }) => {
      siteA = world.site("a");
      siteB = world.site("b");
      hostA = world.host("a", siteA);
      hostB = world.host("b", siteB);
      siteB.box.forwardPort({ outside: world.internet, port: PORT, to: `${hostB.address()}:${PORT}` });
      outside = `${siteB.publicAddress}:${PORT}`;
      caller = await Caller.start(hostA);
    });

    async function serveOn(
      host: Host,
      plan: Partial<ServerPlan> = {},
      env: Readonly<Record<string, string>> = {},
    ): Promise<Served> {
      const { service: name, registry } = scene;
      return scene.keep(await serve(host, { id: "b", name, registry, listen: `0.0.0.0:${PORT}`, ...plan }, env));
    }

    const serveOnB = (plan: Partial<ServerPlan> = {}): Promise<Served> => serveOn(hostB, plan);

    /** A host of its own that has a public address. */
    const gate = (): Host => scene.world.network.host(`gate-${scene.count}`, [siteB.subnet, scene.world.internet]);

    /** What a client in the other network sees of the server before anything is mended. */
    async function serveInVain(plan: Partial<ServerPlan> = {}): Promise<{ client: string; server: Served }> {
      const server = await serveOnB(plan);
      expect(server.registered).toEqual([`${hostB.address()}:${PORT}`]);
      const client = await caller.open(scene.target, { networks: ["public"] });
      expect(await caller.call(client)).toMatchObject({ code: "UNAVAILABLE" });
      return { client, server };
    }

    it("calls end with UNAVAILABLE, and say which address there is no route to", async () => {
      const { registered } = await serveOnB();
      expect(registered).toEqual(["10.2.0.2:8080"]);
      expect(await caller.callOnce(scene.target)).toEqual({
        code: "UNAVAILABLE",
        text: `[UNAVAILABLE] no connection to ${scene.target}: cannot connect to 10.2.0.2:8080: there is no route to this address from here; use one that is reachable from this network`,
      });
    });

    it("calls say so too where packets vanish without a word, by their deadline or before", async () => {
      await serveOnB();
      siteA.box.ip("route", "add", "blackhole", siteB.subnet.range);
      try {
        // A process of its own: the other one knows by now that there is no route.
        const other = await Caller.start(hostA);
        const client = await other.open(scene.target);
        expect(await other.call(client, 3000)).toEqual({
          code: "DEADLINE_EXCEEDED",
          text: expect.stringContaining("10.2.0.2:8080"),
        });
        expect(await other.call(client)).toEqual({
          code: "UNAVAILABLE",
          text: `[UNAVAILABLE] no connection to ${scene.target}: cannot connect to 10.2.0.2:8080: no connection; check the address and the firewalls between (gave up after 5000 ms)`,
        });
      } finally {
        siteA.box.ip("route", "del", "blackhole", siteB.subnet.range);
      }
    });

    it("bowline doctor says that the address is a private one, and which settings mend it", async () => {
      await serveOnB();
      const { exitCode, stdout, stderr } = await bowline(hostA, "doctor", scene.target);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("1 of 1 addresses can't be used as they are");
      expect(stdout).toMatch(/✗ 10\.2\.0\.2:8080/);
      expect(stdout).toMatch(
        /10\.2\.0\.2 is a private address of a network that this machine is not in; its own are 10\.1\.0\.2\/24 \(E\w+\)/,
      );
      expect(stdout).toContain('advertise: "PUBLIC_HOST:8080"');
      expect(stdout).toContain('networks: ["public"]');
      expect(stdout).toContain('rewrite: [{ from: "10.2.0.2", to: "PUBLIC_HOST" }]');
      // In its own network there is nothing wrong with it.
      const inside = await bowline(scene.world.host("b-neighbour", siteB), "doctor", scene.target);
      expect(inside).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/✓ 10\.2\.0\.2:8080[\s\S]*SERVING/) });
    });

    it("mended by advertise: the public address, while the client runs", async () => {
      const { client, server } = await serveInVain();
      await server.child.stop();
      const { registered } = await serveOnB({ id: "mended", advertise: outside });
      expect(registered).toEqual([outside]);
      expect(await caller.callUntil(client, "mended")).toEqual({ server: "mended", from: siteA.publicAddress });
      expect(await bowline(hostA, "doctor", scene.target)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(new RegExp(`✓ ${outside}[\\s\\S]*SERVING`)),
      });
    });

    it("mended by binding the public address, where the server has it itself", async () => {
      const host = gate();
      const own = `${host.address(scene.world.internet)}:${PORT}`;
      const { registered } = await serveOn(host, { id: "gate", listen: own });
      expect(registered).toEqual([own]);
      expect(await caller.callOnce(scene.target)).toEqual({ server: "gate", from: siteA.publicAddress });
    });

    it.each<[string, Partial<ServerPlan>, Readonly<Record<string, string>>]>([
      ["interface", { advertise: "interface:eth1" }, {}],
      ["range", { advertise: "cidr:203.0.113.0/24" }, {}],
      ["environment", {}, { BOWLINE_ADVERTISE: "interface:eth1" }],
    ])("mended by the %s of the public address, where the server listens on all", async (_way, plan, env) => {
      const host = gate();
      const { registered } = await serveOn(host, { id: "gate", ...plan }, env);
      expect(registered).toEqual([`${host.address(scene.world.internet)}:${PORT}`]);
      expect(await caller.callOnce(scene.target)).toMatchObject({ server: "gate" });
    });

    it("mended by labelled networks on both sides, while the client runs", async () => {
      const { client, server } = await serveInVain();
      await server.child.stop();
      const inside = `${hostB.address()}:${PORT}`;
      const advertise = [
        { network: "inside", address: "auto" },
        { network: "public", address: outside },
      ];
      const { registered } = await serveOnB({ id: "mended", advertise });
      expect(registered).toEqual([`inside=${inside}`, `public=${outside}`]);
      expect(await caller.callUntil(client, "mended")).toEqual({ server: "mended", from: siteA.publicAddress });
      const { stdout } = await bowline(hostA, "doctor", scene.target);
      expect(stdout).toContain(`✓ ${outside} (public)`);
      expect(stdout).toContain(`✗ ${inside} (inside)`);
      expect(stdout).toContain("10.2.0.2 (labelled inside) is a private address");
      expect(stdout).toContain(`to take public=${outside} instead: networks: ["public"] of the client`);
      // For the client that takes only the other address there is nothing wrong.
      const forClient = await bowline(hostA, "doctor", scene.target, "--network", "public");
      expect(forClient).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining(`taken for its network public; it also has inside=${inside}`),
      });
    });

    it("mended by rewrite in the client: the address, its range, or both with their ports", async () => {
      await serveInVain({ id: "unchanged" });
      const address = hostB.address();
      // The doctor tries a rule before it is written into the client.
      const tried = await bowline(hostA, "doctor", scene.target, "--rewrite", `${address}=${siteB.publicAddress}`);
      expect(tried).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`✓ ${outside}`) });
      expect(tried.stdout).toContain(
        `rewritten from ${address}:${PORT} by --rewrite ${address}=${siteB.publicAddress}`,
      );
      for (const rule of [
        { from: address, to: siteB.publicAddress },
        { from: siteB.subnet.range, to: siteB.publicAddress },
        { from: `${address}:${PORT}`, to: outside },
        { from: `${siteB.subnet.range}:${PORT}`, to: outside, target: scene.target },
      ]) {
        expect(await caller.callOnce(scene.target, { rewrite: [rule] })).toEqual({
          server: "unchanged",
          from: siteA.publicAddress,
        });
      }
    });

    it("mended by static://, without the registry", async () => {
      await serveInVain({ id: "unchanged" });
      expect(await caller.callOnce(`static:///${outside}`)).toEqual({ server: "unchanged", from: siteA.publicAddress });
    });

    it("mended by iptables on the client's machine, while client and server run", async () => {
      const { client } = await serveInVain({ id: "unchanged" });
      const rule = ["OUTPUT", "-d", hostB.address(), "-j", "DNAT", "--to-destination", siteB.publicAddress];
      hostA.iptables("-t", "nat", "-A", ...rule);
      try {
        expect(await caller.callUntil(client, "unchanged")).toEqual({ server: "unchanged", from: siteA.publicAddress });
        expect(await bowline(hostA, "doctor", scene.target)).toMatchObject({ exitCode: 0 });
      } finally {
        hostA.iptables("-t", "nat", "-D", ...rule);
      }
    });

    it("a port mapping is expressible in each way: the outer port is another one", async () => {
      const outer = `${siteB.publicAddress}:18080`;
      const undo = siteB.box.forwardPort({
        outside: scene.world.internet,
        port: 18_080,
        to: `${hostB.address()}:${PORT}`,
      });
      try {
        const { server } = await serveInVain({ id: "inner" });
        const rewrite = [{ from: `${siteB.subnet.range}:${PORT}`, to: outer }];
        expect(await caller.callOnce(scene.target, { rewrite })).toMatchObject({ server: "inner" });
        expect(await caller.callOnce(`static:///${outer}`)).toMatchObject({ server: "inner" });
        await server.child.stop();
        const { registered } = await serveOnB({ id: "outer", advertise: outer });
        expect(registered).toEqual([outer]);
        expect(await caller.callUntil(await caller.open(scene.target), "outer")).toMatchObject({ server: "outer" });
      } finally {
        undo();
      }
    });

    it("a server whose box does not lead back in is told how to silence its self-check", async () => {
      const { warning } = await serveOnB({ advertise: outside });
      expect(await warning).toContain(
        `${scene.service} is registered, but ${outside} can't be reached from this machine`,
      );
      expect(await warning).toContain("selfCheck: false");
      expect(await caller.callOnce(scene.target)).toMatchObject({ from: siteA.publicAddress });
    });

    it("a server with a private address is told so when the others have public ones", async () => {
      const host = gate();
      const own = `${host.address(scene.world.internet)}:${PORT}`;
      await serveOn(host, { id: "gate", listen: own });
      const { warning } = await serveOnB();
      expect(await warning).toContain(
        `10.2.0.2:8080 is a private address, while other instances have public ones such as ${own}; set advertise`,
      );
    });
  });
});
