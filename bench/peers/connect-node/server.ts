// connect-node with nothing on, over cleartext HTTP/2.
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Echo } from "../../../test/gen/peer/v1/echo_pb.ts";
import { announce } from "../../../test/peers/peer-lines.ts";

const server = createServer(
  connectNodeAdapter({
    routes: (router) => router.service(Echo, { unary: ({ payload }) => ({ payload }) }),
  }),
);
server.listen(0, "127.0.0.1", () => announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }));
