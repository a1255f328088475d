// connect-node's gRPC transport with nothing on.
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Echo, EchoRequestSchema, EchoResponseSchema } from "../../../test/gen/peer/v1/echo_pb.ts";
import { runLoadClient, unaryOnly } from "../../harness/load/load-client.ts";
import { checkEcho, payloadBytes } from "../echo.ts";

const requestOf = (bytes: number) =>
  create(EchoRequestSchema, { payload: new Uint8Array(payloadBytes(bytes)).fill(7) });

await runLoadClient(process.argv[2], async (address) => {
  const client = createClient(Echo, createGrpcTransport({ baseUrl: `http://${address}` }));
  checkEcho(toBinary(EchoResponseSchema, await client.unary(requestOf(24))));
  return {
    start: (load) => {
      unaryOnly(load);
      const request = requestOf(load.messageBytes);
      return (slot) => {
        client.unary(request).then(slot.resolved, slot.rejected);
      };
    },
  };
});
