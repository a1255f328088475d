// Bowline as it comes, with its generated codec: bench.v1.Bench.
import { createServer } from "bowline";
import { announce } from "../../../test/peers/peer-lines.ts";
import { Bench } from "../../gen/bench/v1/bench_rpc.ts";
import { older, paid } from "../../messages/answers.ts";

const server = createServer({ name: "bench", listen: "127.0.0.1:0", handleSignals: false });
server.add(Bench, { echoTiny: async (user) => older(user), echoOrder: async (order) => paid(order) });
await server.start();
announce({ addr: server.addresses.join(",") });
