import { createClient } from "bowline";
import { KnotService } from "../gen/packages/v1/knot_rpc.ts";

/** A program that only calls: what bundlers make of it must hold nothing of servers. */
const knots = createClient(KnotService, process.argv[2] ?? "127.0.0.1:1");
console.log((await knots.tie({ name: "bowline" })).name);
await knots.close();
