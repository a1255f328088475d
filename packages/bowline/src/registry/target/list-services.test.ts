import { afterEach, describe, expect, it } from "vitest";
import { ConsulAgent } from "../../../test/consul-agent.ts";
import { listServices } from "./list-services.ts";

const agents: ConsulAgent[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.close();
});

async function startAgent(): Promise<ConsulAgent> {
  const agent = await ConsulAgent.start();
  agents.push(agent);
  return agent;
}

describe("the services of a place", () => {
  it("are asked of the registry that it names, with its query and whatever service it names", async () => {
    const agent = await startAgent();
    agent.put({ ID: "2", Name: "user.rpc", Tags: ["v2"] }, { ID: "1", Name: "order.rpc" });
    for (const rest of ["", "/", "/user.rpc", "/?dc=dc1"]) {
      expect(await listServices(`consul://${agent.address}${rest}`)).toEqual(["consul", "order.rpc", "user.rpc"]);
    }
    expect(await listServices(`CONSUL://${agent.address}?tag=v2`)).toEqual(["user.rpc"]);
    expect(agent.peer.requests[3].query.get("dc")).toBe("dc1");
  });

  it("are none where the embedded registry is empty", async () => {
    expect(await listServices("local://nobody-has-this-namespace")).toEqual([]);
  });

  it("reject with what the registry says", async () => {
    const agent = await startAgent();
    agent.peer.goAway();
    await expect(listServices(`consul://${agent.address}`)).rejects.toThrow(
      /^consul registry: GET .v1.catalog.services: /,
    );
  });

  it("are waited for until the signal says so, and no longer", async () => {
    const agent = await startAgent();
    const controller = new AbortController();
    const asked = Promise.withResolvers<void>();
    agent.intercept = () => {
      asked.resolve();
      return true;
    };
    const listing = listServices(`consul://${agent.address}`, { signal: controller.signal });
    await asked.promise;
    controller.abort(new Error("enough"));
    await expect(listing).rejects.toThrow("enough");
    await expect(listServices("local://any", { signal: controller.signal })).rejects.toThrow("enough");
  });

  it.each([
    ["static:///a:1", /has no list of services; name a registry/],
    ["user.internal:8080", /has no list of services/],
    ["user.rpc", /a bare service name needs a registry/],
    ["etdc://a:1", /did you mean etcd/],
    ["etcd://a:1?password=x", /holds a secret/],
    ["consul://a:1?x=y", /"x" is no setting of consul/],
  ])("are refused for %s", async (place, message) => {
    await expect(listServices(place)).rejects.toThrow(message);
  });
});
