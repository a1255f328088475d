// peer.v1.Echo with health and reflection, for command-line tools. A service named `peer.v1.Paused` is said not to serve.
import { parseArgs } from "node:util";
import { createServer } from "bowline";
import { Echo } from "../../test/gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../test/peers/echo-handlers.ts";
import { announce } from "../../test/peers/peer-lines.ts";

const { values } = parseArgs({ options: { cert: { type: "string" }, key: { type: "string" } } });
const server = createServer({
  name: "peer.rpc",
  listen: "127.0.0.1:0",
  handleSignals: false,
  compression: "gzip",
  tls: values.cert === undefined ? undefined : { certificate: values.cert, key: values.key },
});
server.add(Echo, echoHandlers("echo"));
server.health.set("peer.v1.Paused", "NOT_SERVING");
await server.start();
announce({ addr: server.address });
