import { Code, RpcError } from "bowline";
import { badRequest } from "bowline/grpc/error-details";
import type { KnotServiceHandlers } from "../gen/packages/v1/knot_rpc.ts";

/** What the server of the checks does. */
export const knotHandlers: KnotServiceHandlers = {
  tie({ name, paddingBytes }, context) {
    context.header.set("served-by", "knots");
    if (name === "") {
      const details = [badRequest([{ field: "name", description: "is empty" }])];
      throw new RpcError(Code.INVALID_ARGUMENT, "name is empty", { details });
    }
    return { name, padding: new Uint8Array(paddingBytes), tiedAt: { seconds: 7n } };
  },
  async *list({ count }) {
    for (let number = 0; number < count; number += 1) yield { name: `knot ${number}` };
  },
  async collect(knots) {
    const names: string[] = [];
    for await (const { name } of knots) names.push(name);
    return { names };
  },
  async *exchange(requests) {
    for await (const { name } of requests) yield { name: name.toUpperCase() };
  },
};
