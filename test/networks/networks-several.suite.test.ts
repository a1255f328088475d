import { describe, expect, it } from "vitest";
import type { Host } from "../chaos/network/host.ts";
import type { Opening, Outcome } from "./orders.ts";
import { Caller, type Served, serve } from "./people.ts";
import { PATIENCE_MS, useScene } from "./scene.ts";
import type { ServerPlan } from "./server-plan.ts";
import type { Site } from "./sites.ts";
import { networkSuite } from "./suite.ts";

const PORT = 8080;
await networkSuite("three networks, one etcd", (program) => {
  describe("servers in two of them", { timeout: PATIENCE_MS }, () => {
    const sites: Site[] = [];
    const hosts: Host[] = [];
    const scene = useScene(program, async ({ world }) => {
      for (const name of ["a", "b", "c"]) {
        const site = world.site(name);
        const host = world.host(name, site);
        site.box.forwardPort({ outside: world.internet, port: 18_080, to: `${host.address()}:${PORT}` });
        sites.push(site);
        hosts.push(host);
      }
    });

    function serveOn(host: Host, plan: Partial<ServerPlan> = {}): Promise<Served> {
      const { service: name, registry } = scene;
      return serve(host, { id: host.name, name, registry, listen: `0.0.0.0:${PORT}`, ...plan }).then(scene.keep);
    }

    /** The server of a site with both of its addresses: the inner port is not the outer one. */
    async function serveLabelled(index: number): Promise<readonly string[]> {
      const { name, publicAddress } = sites[index];
      const advertise = [
        { network: `site-${name}`, address: "auto" },
        { network: "public", address: `${publicAddress}:18080` },
      ];
      return (await serveOn(hosts[index], { advertise })).registered;
    }

    /** From where servers see a client on a host come; each of them must be met by it. */
    async function seenBy(
      servers: readonly string[],
      host: Host,
      options: Pick<Opening, "networks" | "rewrite">,
    ): Promise<readonly Outcome[]> {
      const caller = await Caller.start(host);
      const client = await caller.open(scene.target, options);
      const outcomes: Outcome[] = [];
      for (const server of servers) outcomes.push(await caller.callUntil(client, server));
      return outcomes;
    }

    it("each client takes the first network in common: its own site's directly, others' from outside", async () => {
      expect(await serveLabelled(1)).toEqual(["site-b=10.2.0.2:8080", "public=203.0.113.2:18080"]);
      expect(await serveLabelled(2)).toEqual(["site-c=10.3.0.2:8080", "public=203.0.113.3:18080"]);
      const neighbour = scene.world.host("b-client", sites[1]);
      expect(await seenBy(["b", "c"], neighbour, { networks: ["site-b", "public"] })).toEqual([
        { server: "b", from: neighbour.address() },
        { server: "c", from: sites[1].publicAddress },
      ]);
      expect(await seenBy(["b", "c"], hosts[0], { networks: ["site-a", "public"] })).toEqual([
        { server: "b", from: sites[0].publicAddress },
        { server: "c", from: sites[0].publicAddress },
      ]);
    });

    it("a client that names no network of the servers is told theirs and its own", async () => {
      await serveLabelled(1);
      const caller = await Caller.start(hosts[0]);
      const client = await caller.open(scene.target, { networks: ["site-a"] });
      const outcome = await caller.call(client, 3000);
      expect(outcome).toMatchObject({
        text: expect.stringContaining(
          "instance b has addresses in the networks site-b, public, and this client is in site-a: add the network to the client's option networks",
        ),
      });
    });

    it("two rules of rewrite lead to servers behind two boxes, each with a port of its own", async () => {
      for (const host of hosts.slice(1)) await serveOn(host);
      const rewrite = [
        { from: "10.2.0.0/24:8080", to: `${sites[1].publicAddress}:18080` },
        { from: "10.3.0.2:8080", to: `${sites[2].publicAddress}:18080` },
      ];
      expect(await seenBy(["b", "c"], hosts[0], { rewrite })).toMatchObject([{ server: "b" }, { server: "c" }]);
    });

    it("auto takes the address by which etcd is reached, not the first, Docker's or the loopback's", async () => {
      const { world } = scene;
      const management = world.network.subnet("192.168.77.0/24");
      const host = world.network.host("many", [management, sites[1].subnet], { gateway: sites[1].box });
      host.ip("link", "add", "docker0", "type", "bridge");
      host.ip("address", "add", "172.17.0.1/16", "dev", "docker0");
      host.ip("link", "set", "docker0", "up");
      const { registered } = await serveOn(host);
      expect(registered).toEqual([`${host.address(sites[1].subnet)}:${PORT}`]);
    });

    it("auto is right from the start where etcd can't be reached yet: the routes are known", async () => {
      const { world, registry } = scene;
      const management = world.network.subnet("192.168.78.0/24");
      const host = world.network.host("early", [management, sites[1].subnet], { gateway: sites[1].box });
      const heal = host.cutOff(registry.split(":")[0]);
      const { registered, child } = await serveOn(host);
      expect(registered).toEqual([`${host.address(sites[1].subnet)}:${PORT}`]);
      const caller = await Caller.start(world.host("waits", sites[1]));
      const client = await caller.open(scene.target);
      heal();
      expect(await caller.callUntil(client, "early")).toMatchObject({ server: "early" });
      await child.stop();
    });
  });
});
