// connect-node and protobuf-es with nothing on, over cleartext HTTP/2: bench.v1.Bench.
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { announce } from "../../../test/peers/peer-lines.ts";
import { Bench } from "../../gen/bench/v1/bench_pb.ts";
import { older, paid } from "../../messages/answers.ts";

const server = createServer(
  connectNodeAdapter({ routes: (router) => router.service(Bench, { echoTiny: older, echoOrder: paid }) }),
);
server.listen(0, "127.0.0.1", () => announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }));
