// Servers in a registry: `registered-server.ts REGISTRY SERVICE ID,ID`, one for each id. A line {"pause":true} on stdin takes the first
// out, {"resume":true} puts it back; it answers {"paused":true} when that is done, and {"resumed":INSTANT,"began":INSTANT}.
import { createInterface } from "node:readline";
import { createServer } from "bowline";
import { announce, printLine } from "../../../test/peers/peer-lines.ts";
import { instantMs } from "../../harness/discovery/instant.ts";
import { registryOf } from "../../harness/discovery/registry-text.ts";
import { WhoAmI } from "./whoami-service.ts";

const [registry, name, ids] = process.argv.slice(2);
const servers = ids.split(",").map((instanceId) => {
  const answer = Buffer.from(instanceId);
  const options = { name, instanceId, listen: "127.0.0.1:0", registry: registryOf(registry), handleSignals: false };
  return createServer(options).add(WhoAmI, { ask: async () => answer });
});
await Promise.all(servers.map((server) => server.start()));
const [server] = servers;
announce({});
for await (const line of createInterface({ input: process.stdin })) {
  if ("pause" in (JSON.parse(line) as object)) {
    await server.pause();
    printLine({ paused: true });
  } else {
    const began = instantMs();
    await server.resume();
    printLine({ began, resumed: instantMs() });
  }
}
