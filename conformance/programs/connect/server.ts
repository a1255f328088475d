// The server that the Connect conformance runner tests: reads one ServerCompatRequest, serves what it asks for, tells where, and stays
// until SIGTERM.
import { create } from "@bufbuild/protobuf";
import { createServer, type Service, type TlsSettings } from "bowline";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "../../gen/connectrpc/conformance/v1/server_compat_pb.ts";
import {
  ConformanceService,
  type ConformanceServiceHandlers,
} from "../../gen/connectrpc/conformance/v1/service_rpc.ts";
import { framed, readFramed } from "./framed-messages.ts";
import { handlers } from "./handlers.ts";

function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerCompatRequest): TlsSettings | undefined {
  if (!useTls) return undefined;
  if (serverCreds === undefined) throw new Error("TLS is wanted, but the request has no certificate");
  const own = { certificate: Buffer.from(serverCreds.cert), key: Buffer.from(serverCreds.key) };
  return clientTlsCert.length === 0 ? own : { ...own, authorities: Buffer.from(clientTlsCert) };
}

const { value: wanted } = await readFramed(ServerCompatRequestSchema, process.stdin).next();
if (wanted === undefined) throw new Error("standard input ended before the request");

const server = createServer({
  name: "conformance",
  listen: "127.0.0.1:0",
  handleSignals: false,
  tls: tlsOf(wanted),
  compressFromBytes: 0,
  maxReceiveBytes: wanted.messageReceiveLimit === 0 ? undefined : wanted.messageReceiveLimit,
});
// The method that a server must not have is taken out of the contract: Bowline wants a handler for each.
const { unimplemented: _, ...methods } = ConformanceService.methods;
const served: Service<unknown, Omit<ConformanceServiceHandlers, "unimplemented">> = { ...ConformanceService, methods };
server.add(served, handlers);
await server.start();
process.once("SIGTERM", () => process.exit(0));
const [host, port] = (server.address ?? "").split(":");
const told = create(ServerCompatResponseSchema, { host, port: Number(port), pemCert: wanted.serverCreds?.cert });
process.stdout.write(framed(ServerCompatResponseSchema, told));
