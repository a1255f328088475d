import { eureka } from "../../packages/bowline/src/registry/eureka/eureka.ts";
import { appName } from "../../packages/bowline/src/registry/eureka/format.ts";
import { entryId } from "../../packages/bowline/src/registry/remote/entry-id.ts";
import { registryContract } from "./contract.ts";
import { EurekaServerProcess } from "./eureka-server.ts";
import { realRegistry } from "./suite.ts";

await realRegistry("eureka", ["eureka"], ([program]) => {
  let server: EurekaServerProcess | undefined;
  registryContract("eureka", {
    // It keeps all in memory; clients bring it back.
    capabilities: { keepsData: false },
    // A server takes a minute to start on a busy machine.
    patienceMs: 150_000,
    open: async () => {
      server = await EurekaServerProcess.start(program);
    },
    close: () => server?.process.remove(),
    // It renews each 5 s: what is lost is missed before that.
    create: (context) => eureka({ hosts: server?.address ?? "", ttlSeconds: 15, refreshSeconds: 0.5 }).create(context),
    stop: () => server?.process.stop(),
    start: () => server?.process.start(),
    lose: (service, instance) =>
      server?.request("DELETE", `/apps/${appName(service)}/${entryId(service, instance.id)}`),
    writeBad: async (service) => {
      const app = appName(service);
      const port = { $: 80, "@enabled": "true" };
      const bad = [
        { ipAddr: "10.0.0.1", port, metadata: { bowline: "{no json" } },
        { ipAddr: "10.0.0.2", port: { $: 70_000, "@enabled": "true" } },
        { ipAddr: "10.0.0.3", port: { $: 80, "@enabled": "false" } },
        { ipAddr: "no host at all", port },
      ];
      for (const [at, each] of bad.entries()) {
        const dataCenterInfo = { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", name: "MyOwn" };
        const hostName = "no host at all";
        const instance = { hostName, ...each, instanceId: `bad-${at}`, app, status: "UP", dataCenterInfo };
        await server?.request("POST", `/apps/${app}`, { instance });
      }
      return bad.length;
    },
  });
});
