// A server for h2spec: any request that is no gRPC call gets an answer with a body, which is all that h2spec asks for.
import { parseArgs } from "node:util";
import { createServer } from "bowline";
import { announce } from "../../test/peers/peer-lines.ts";

const { values } = parseArgs({ options: { cert: { type: "string" }, key: { type: "string" } } });
const tls = values.cert === undefined ? undefined : { certificate: values.cert, key: values.key };
const server = createServer({ name: "h2spec", listen: "127.0.0.1:0", handleSignals: false, tls });
await server.start();
announce({ addr: server.address });
