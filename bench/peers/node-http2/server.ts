// Unary gRPC by hand on node:http2: what a framework on top of it can reach at best.
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { announce } from "../../../test/peers/peer-lines.ts";

const server = createServer();
server.on("stream", (stream) => {
  let body: Buffer | undefined;
  stream.on("data", (chunk: Buffer) => {
    body = body === undefined ? chunk : Buffer.concat([body, chunk]);
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(body);
  });
  stream.on("error", () => stream.close());
});
server.listen(0, "127.0.0.1", () => announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }));
