// grpc-js and protobufjs with nothing on: bench.v1.Bench.
import { promisify } from "node:util";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { announce } from "../../../test/peers/peer-lines.ts";
import type { Order } from "../../gen/bench/v1/order_pb.ts";
import type { Tiny } from "../../gen/bench/v1/tiny_pb.ts";
import { type CallKind, older, paid } from "../../messages/answers.ts";
import { benchMethod } from "./bench-methods.ts";

const server = new Server();
register("tiny", (user) => older(user as Tiny));
register("order", (order) => paid(order as Order));
const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
announce({ addr: `127.0.0.1:${port}` });

function register(kind: CallKind, handle: (request: object) => object): void {
  const { path, serialize, deserialize } = benchMethod(kind);
  const answer: handleUnaryCall<object, object> = (call, send) => send(null, handle(call.request));
  server.register(path, answer, serialize, deserialize, "unary");
}
