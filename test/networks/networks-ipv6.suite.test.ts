import { describe, expect, it } from "vitest";
import type { Host } from "../chaos/network/host.ts";
import { ETCD_PORT } from "./etcd-host.ts";
import { addIPv6, addRegistryIPv6, forwardIPv6, type IPv6Site, ip6tables, ipv6Missing } from "./ipv6.ts";
import { bowline, Caller, type Served, serve } from "./people.ts";
import { PATIENCE_MS, useScene } from "./scene.ts";
import type { ServerPlan } from "./server-plan.ts";
import type { Site } from "./sites.ts";
import { networkSuite } from "./suite.ts";

const PORT = 8080;
const OUTER_PORT = 18_080;

await networkSuite(
  "a server and its client in two networks of IPv6, one etcd",
  (program) => {
    describe("between them NAT", { timeout: PATIENCE_MS }, () => {
      let siteB: Site;
      let hostA: Host;
      let hostB: Host;
      let a: IPv6Site;
      let b: IPv6Site;
      let caller: Caller;
      let registry = "";
      let inside = "";
      let outside = "";
      const scene = useScene(program, async ({ world }) => {
        const siteA = world.site("a");
        siteB = world.site("b");
        hostA = world.host("a", siteA);
        hostB = world.host("b", siteB);
        registry = `[${addRegistryIPv6(world)}]:${ETCD_PORT}`;
        a = addIPv6(siteA, hostA, 1);
        b = addIPv6(siteB, hostB, 2);
        inside = `[${b.address}]:${PORT}`;
        outside = `[${b.publicAddress}]:${PORT}`;
        for (const port of [PORT, OUTER_PORT]) forwardIPv6(siteB, b, port, inside);
        // IPv4 into the same server, for a rule from one version of IP to the other.
        const to = `${hostB.address()}:${PORT}`;
        siteB.box.forwardPort({ outside: world.internet, port: OUTER_PORT, to });
        caller = await Caller.start(hostA);
      });

      const target = (): string => `etcd://${registry}/${scene.service}`;

      async function serveOnB(plan: Partial<ServerPlan> = {}): Promise<Served> {
        const { service: name } = scene;
        return scene.keep(await serve(hostB, { id: "b", name, registry, listen: `[::]:${PORT}`, ...plan }));
      }

      it("auto advertises the address by which etcd is reached; others can't reach it, and are told why", async () => {
        expect((await serveOnB()).registered).toEqual([inside]);
        expect(await caller.callOnce(target())).toMatchObject({
          code: "UNAVAILABLE",
          text: expect.stringContaining(`cannot connect to ${inside}: `),
        });
        const { exitCode, stdout } = await bowline(hostA, "doctor", target());
        expect(exitCode).toBe(1);
        expect(stdout).toContain(`✗ ${inside}`);
        expect(stdout).toMatch(
          /fd00:2::2 is a private address of a network that this machine is not in; .*fd00:1::2\/64/,
        );
        expect(stdout).toContain('rewrite: [{ from: "fd00:2::2", to: "PUBLIC_HOST" }]');
      });

      it("mended by advertise, while the client runs", async () => {
        const { child } = await serveOnB();
        const client = await caller.open(target());
        expect(await caller.call(client)).toMatchObject({ code: "UNAVAILABLE" });
        await child.stop();
        expect((await serveOnB({ id: "mended", advertise: outside })).registered).toEqual([outside]);
        expect(await caller.callUntil(client, "mended")).toEqual({ server: "mended", from: `[${a.publicAddress}]` });
        expect(await bowline(hostA, "doctor", target())).toMatchObject({ exitCode: 0 });
      });

      it("mended by labelled networks, one of them of each version of IP", async () => {
        const advertise = [
          { network: "inside", address: "cidr:10.0.0.0/8" },
          { network: "public", address: outside },
        ];
        expect((await serveOnB({ advertise })).registered).toEqual([`inside=10.2.0.2:${PORT}`, `public=${outside}`]);
        expect(await caller.callOnce(target(), { networks: ["public"] })).toMatchObject({ server: "b" });
      });

      it("mended by rewrite: the address, its range, and both with the port of a mapping", async () => {
        await serveOnB();
        for (const rule of [
          { from: b.address, to: b.publicAddress },
          { from: b.range, to: b.publicAddress },
          { from: inside, to: `[${b.publicAddress}]:${OUTER_PORT}` },
          { from: `${b.range}:${PORT}`, to: `[${b.publicAddress}]:${OUTER_PORT}` },
          { from: `${b.range}:${PORT}`, to: `${siteB.publicAddress}:${OUTER_PORT}` },
        ]) {
          expect(await caller.callOnce(target(), { rewrite: [rule] })).toMatchObject({ server: "b" });
        }
      });

      it("mended by static://, and by ip6tables on the client's machine while both run", async () => {
        await serveOnB();
        expect(await caller.callOnce(`static:///${outside}`)).toMatchObject({ server: "b" });
        const client = await caller.open(target());
        expect(await caller.call(client)).toMatchObject({ code: "UNAVAILABLE" });
        const rule = ["OUTPUT", "-d", b.address, "-j", "DNAT", "--to-destination", b.publicAddress];
        ip6tables(hostA, "-t", "nat", "-A", ...rule);
        try {
          expect(await caller.callUntil(client, "b")).toMatchObject({ server: "b" });
        } finally {
          ip6tables(hostA, "-t", "nat", "-D", ...rule);
        }
      });
    });
  },
  ipv6Missing,
);
