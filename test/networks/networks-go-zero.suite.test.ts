import { describe, expect, it } from "vitest";
import type { Host } from "../chaos/network/host.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../peers/go-programs.ts";
import { bowline, Caller, type Served, serve } from "./people.ts";
import { PATIENCE_MS, useScene } from "./scene.ts";
import type { ServerPlan } from "./server-plan.ts";
import type { Site } from "./sites.ts";
import { networkSuite } from "./suite.ts";

const PORT = 8080;

/** go-zero has 3 s to connect and 2 s for a call, which a busy machine may use up. */
const SOON = { timeout: 60_000 };

/** Folder of the Go programs. */
let programs = "";

function goMissing(): string | undefined {
  const found = buildGoPrograms("gozero-server", "gozero-client");
  programs = found ?? "";
  return found === undefined ? GO_PROGRAMS_MISSING : undefined;
}

await networkSuite(
  "go-zero and Bowline in two networks, one etcd",
  (program) => {
    describe("between them NAT", { timeout: PATIENCE_MS }, () => {
      let siteA: Site;
      let siteB: Site;
      let hostA: Host;
      let hostB: Host;
      let caller: Caller;
      let outside = "";
      const scene = useScene(program, async ({ world }) => {
        siteA = world.site("a");
        siteB = world.site("b");
        hostA = world.host("a", siteA);
        hostB = world.host("b", siteB);
        outside = `${siteB.publicAddress}:${PORT}`;
        siteB.box.forwardPort({ outside: world.internet, port: PORT, to: `${hostB.address()}:${PORT}` });
        caller = await Caller.start(hostA);
      });

      /** A genuine zRPC server, which registers what it listens on. */
      async function serveByGo(id: string): Promise<void> {
        const { registry, service } = scene;
        const args = ["-listen", `${hostB.address()}:${PORT}`, "-etcd", registry, "-key", service, "-id", id];
        const child = hostB.start({ command: `${programs}/gozero-server`, args });
        const ready = child.next("ready", PATIENCE_MS);
        scene.keep({ child, registered: [], warning: Promise.resolve("") });
        await ready;
      }

      async function serveByBowline(plan: Partial<ServerPlan> = {}): Promise<Served> {
        const { registry, service: name } = scene;
        return scene.keep(await serve(hostB, { id: "ours", name, registry, listen: `0.0.0.0:${PORT}`, ...plan }));
      }

      /** One call of a genuine zRPC client on the other side; true if it was answered. */
      async function callByGo(): Promise<boolean> {
        const args = ["-etcd", scene.registry, "-key", scene.service, "-expect-code", "OK"];
        return (await hostA.execute({ command: `${programs}/gozero-client`, args })).exitCode === 0;
      }

      const dnat = (action: "-A" | "-D"): string =>
        hostA.iptables(
          ...["-t", "nat", action, "OUTPUT", "-d", hostB.address(), "-p", "tcp", "--dport", String(PORT)],
          ...["-j", "DNAT", "--to-destination", outside],
        );

      it("a Go server's private address is diagnosed, and mended on our side by rewrite", async () => {
        await serveByGo("go-1");
        const outcome = await caller.callOnce(scene.target);
        expect(outcome).toMatchObject({ code: "UNAVAILABLE", text: expect.stringContaining("10.2.0.2:8080") });
        const { exitCode, stdout } = await bowline(hostA, "doctor", scene.target);
        expect([exitCode, stdout]).toEqual([1, expect.stringContaining("10.2.0.2 is a private address of a network")]);
        const rewrite = [{ from: siteB.subnet.range, to: siteB.publicAddress }];
        expect(await caller.callOnce(scene.target, { rewrite })).toEqual({ server: "go-1", from: siteA.publicAddress });
        // The target as go-zero writes it.
        const { registry, service } = scene;
        expect(await caller.callOnce(`etcd:///${registry}?key=${service}`, { rewrite })).toMatchObject({
          server: "go-1",
        });
      });

      it("a Go client reaches our server once it advertises the public address", async () => {
        const { child, registered } = await serveByBowline();
        expect(registered).toEqual([`${hostB.address()}:${PORT}`]);
        expect(await callByGo()).toBe(false);
        await child.stop();
        await serveByBowline({ advertise: outside });
        await expect.poll(callByGo, SOON).toBe(true);
      });

      it("a Go client knows the first address of a server that has several: the public one has to be it", async () => {
        const inside = { network: "inside", address: "auto" };
        const open = { network: "public", address: outside };
        const { child } = await serveByBowline({ id: "inside-first", advertise: [inside, open] });
        expect(await caller.callOnce(scene.target, { networks: ["public"] })).toMatchObject({ server: "inside-first" });
        expect(await callByGo()).toBe(false);
        await child.stop();
        await serveByBowline({ id: "public-first", advertise: [open, inside] });
        await expect.poll(callByGo, SOON).toBe(true);
        const client = await caller.open(scene.target, { networks: ["public"] });
        expect(await caller.callUntil(client, "public-first")).toMatchObject({ server: "public-first" });
      });

      it("iptables on the client's machine mends clients of both kinds, to servers of both kinds", async () => {
        dnat("-A");
        try {
          await serveByGo("go-2");
          expect(await caller.callOnce(scene.target)).toEqual({ server: "go-2", from: siteA.publicAddress });
          await expect.poll(callByGo, SOON).toBe(true);
        } finally {
          dnat("-D");
        }
      });

      it("the same, while our client runs, to our server", async () => {
        await serveByBowline();
        const client = await caller.open(scene.target);
        expect(await caller.call(client)).toMatchObject({ code: "UNAVAILABLE" });
        dnat("-A");
        try {
          expect(await caller.callUntil(client, "ours")).toEqual({ server: "ours", from: siteA.publicAddress });
          await expect.poll(callByGo, SOON).toBe(true);
        } finally {
          dnat("-D");
        }
      });
    });
  },
  goMissing,
);
