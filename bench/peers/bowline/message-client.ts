// Bowline as it comes with its generated codec, everything on: each call has a deadline that differs from the one before, and a trace of its own.
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "bowline";
import { Bench } from "../../gen/bench/v1/bench_rpc.ts";
import { type Order, OrderSchema } from "../../gen/bench/v1/order_pb.ts";
import { type Tiny, TinySchema } from "../../gen/bench/v1/tiny_pb.ts";
import { isAnswer } from "../../messages/answers.ts";
import { runMessageClient } from "../message-client.ts";

let connections = 0;
/** Deadlines differ in each call: no header block can be kept for the next. */
let calls = 0;

function timeoutMs(): number {
  calls = (calls + 1) & 0xfff;
  return 2000 + calls;
}

await runMessageClient((address, { inits }, kind) => {
  // Clients of one target share its connection unless their settings differ.
  const client = createClient(Bench, address, { idleTimeoutMs: 1_800_000 + connections++ });
  const call =
    kind === "tiny"
      ? (index: number): Promise<Tiny> => client.echoTiny(inits[index] as Tiny, { timeoutMs: timeoutMs() })
      : (index: number): Promise<Order> => client.echoOrder(inits[index] as Order, { timeoutMs: timeoutMs() });
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
