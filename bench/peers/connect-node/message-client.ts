// connect-node's gRPC transport and protobuf-es with nothing on.
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Bench } from "../../gen/bench/v1/bench_pb.ts";
import { type Order, OrderSchema } from "../../gen/bench/v1/order_pb.ts";
import { type Tiny, TinySchema } from "../../gen/bench/v1/tiny_pb.ts";
import { isAnswer } from "../../messages/answers.ts";
import { runMessageClient } from "../message-client.ts";

await runMessageClient((address, { inits }, kind) => {
  const client = createClient(Bench, createGrpcTransport({ baseUrl: `http://${address}` }));
  const call =
    kind === "tiny"
      ? (index: number): Promise<Tiny> => client.echoTiny(inits[index] as Tiny)
      : (index: number): Promise<Order> => client.echoOrder(inits[index] as Order);
  return {
    answer: async (index) => {
      const answer = await call(index);
      return answer.$typeName === "bench.v1.Tiny" ? toBinary(TinySchema, answer) : toBinary(OrderSchema, answer);
    },
    start: (index, slot) => {
      call(index).then((answer) => {
        if (isAnswer(kind, answer)) slot.resolved();
        else slot.rejected("the answer is not right");
      }, slot.rejected);
    },
  };
});
