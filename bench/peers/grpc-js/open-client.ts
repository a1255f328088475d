// Calls of grpc-js that stay open, each with a deadline.
import { promisify } from "node:util";
import { Client, credentials } from "@grpc/grpc-js";
import { runOpenClient } from "../../harness/memory/open-client.ts";
import { SLOW_MESSAGE, SLOW_PATH } from "../echo.ts";

const asIs = (bytes: Buffer): Buffer => bytes;

await runOpenClient(process.argv[2], async (address) => {
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  await promisify(client.waitForReady.bind(client))(Date.now() + 10_000);
  return () => {
    client.makeUnaryRequest(SLOW_PATH, asIs, asIs, SLOW_MESSAGE, { deadline: Date.now() + 600_000 }, () => {});
  };
});
