// grpc-js with nothing on: no deadline, no metadata, messages are bytes.
import { Client, credentials } from "@grpc/grpc-js";
import { runLoadClient } from "../harness/load-client.ts";
import { checkEcho, ECHO_MESSAGE, ECHO_PATH } from "./echo.ts";

const asIs = (bytes: Buffer): Buffer => bytes;

await runLoadClient(async (address) => {
  const client = new Client(address, credentials.createInsecure());
  const call = (ended: (error: unknown, answer?: Buffer) => void): unknown =>
    client.makeUnaryRequest(ECHO_PATH, asIs, asIs, ECHO_MESSAGE, ended);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  call((error, answer) => (answer === undefined ? reject(error) : resolve(answer)));
  checkEcho(await promise);
  return (slot) => call(slot.called);
});
