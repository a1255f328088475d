// peer.v1.Echo served by Bowline, for clients in other processes. Options: --listen, --id, --cert and --key, --compression.
import { parseArgs } from "node:util";
import { createServer } from "bowline";
import { Echo } from "../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "./echo-handlers.ts";
import { announce } from "./peer-lines.ts";

const { values } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    id: { type: "string", default: `bowline-${process.pid}` },
    cert: { type: "string" },
    key: { type: "string" },
    compression: { type: "string" },
  },
});
const server = createServer({
  name: "peer.rpc",
  listen: values.listen,
  handleSignals: false,
  compression: values.compression,
  tls: values.cert === undefined ? undefined : { certificate: values.cert, key: values.key },
});
server.add(Echo, echoHandlers(values.id));
await server.start();
announce({ addr: server.address, id: values.id });
