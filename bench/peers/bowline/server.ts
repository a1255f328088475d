// Bowline as it comes, everything on. Options: --cert, --key and --ca for mutual TLS; --without LAYER,LAYER; --workers N and --ports;
// --burn MICROSECONDS of CPU in each unary call.
import { parseArgs } from "node:util";
import { createServer, type ServerContext, type ServerOptions } from "bowline";
import { announce } from "../../../test/peers/peer-lines.ts";
import { readStreamRequest } from "../echo.ts";
import { EchoService } from "./echo-service.ts";

const { values } = parseArgs({
  options: {
    cert: { type: "string" },
    key: { type: "string" },
    ca: { type: "string" },
    without: { type: "string", default: "" },
    burn: { type: "string", default: "0" },
    workers: { type: "string", default: "0" },
    ports: { type: "string", default: "shared" },
  },
});
const without = values.without.split(",").filter((name) => name !== "");
const options: ServerOptions = {
  name: "bench",
  listen: "127.0.0.1:0",
  handleSignals: false,
  without,
  ...(values.cert === undefined ? {} : { tls: { certificate: values.cert, key: values.key, authorities: values.ca } }),
};

if (values.ports !== "shared" && values.ports !== "own")
  throw new RangeError(`--ports ${values.ports}: give shared or own`);
const workers = { count: Number(values.workers), ports: values.ports } as const;

const burnMs = Number(values.burn) / 1000;

function burn(message: Uint8Array): Promise<Uint8Array> {
  for (const end = performance.now() + burnMs; performance.now() < end; );
  return Promise.resolve(message);
}

async function* serverStream(request: Uint8Array): AsyncGenerator<Uint8Array> {
  const { count, message } = readStreamRequest(request);
  for (let sent = 0; sent < count; sent++) yield message;
}

async function* bidiStream(messages: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const message of messages) yield message;
}

function slow(_message: Uint8Array, { signal }: ServerContext): Promise<Uint8Array> {
  const { promise, reject } = Promise.withResolvers<Uint8Array>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return promise;
}

const server = createServer(workers.count === 0 ? options : { ...options, workers });
const unary = burnMs > 0 ? burn : async (message: Uint8Array): Promise<Uint8Array> => message;
server.add(EchoService, { unary, serverStream, bidiStream, slow });
await server.start();
// With workers this program runs in each of them too: only the first process speaks with the harness.
if (server.role !== "worker") announce({ addr: server.addresses.join(",") });
