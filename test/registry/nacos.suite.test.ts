import { nacos } from "../../packages/bowline/src/registry/nacos/index.ts";
import { registryContract } from "./contract.ts";
import { NacosServer } from "./nacos-server.ts";
import { realRegistry } from "./suite.ts";

await realRegistry("nacos", ["nacos"], ([program]) => {
  for (const protocol of ["grpc", "http"] as const) {
    let server: NacosServer | undefined;
    registryContract(`nacos by ${protocol}`, {
      capabilities: {
        // What one process registers in a service is one message; by HTTP each instance is a request.
        manyInstances: protocol === "grpc" ? 300 : 50,
        // Ephemeral instances live in the server's memory.
        keepsData: false,
        forgetsServices: false,
      },
      // A JVM has to start again in it.
      patienceMs: 90_000,
      open: async () => {
        server = await NacosServer.start(program);
      },
      close: () => server?.remove(),
      create: (context) => nacos({ hosts: server?.address, protocol }).create(context),
      stop: () => server?.process.stop(),
      start: () => server?.restart(),
      writeBad: async (service) => {
        const bad = ["{no json", "[]", '{"v":1}'];
        for (const [at, bowline] of bad.entries()) {
          await server?.request("POST", "/v1/ns/instance", {
            serviceName: service,
            ip: `10.1.0.${at + 1}`,
            port: "80",
            ephemeral: "true",
            metadata: JSON.stringify({ bowline }),
          });
        }
        return bad.length;
      },
      lose:
        protocol === "grpc"
          ? undefined
          : async (service, { addresses: [{ address }] }) => {
              const [ip, port] = address.split(":");
              await server?.request("DELETE", "/v1/ns/instance", { serviceName: service, ip, port, ephemeral: "true" });
            },
    });
  }
});
