// The limit: frames over a socket, a promise for each call.
import { once } from "node:events";
import { connect } from "node:net";
import { runLoadClient } from "../harness/load-client.ts";
import { BareFraming } from "./bare-framing.ts";
import { checkEcho, ECHO_MESSAGE } from "./echo.ts";

await runLoadClient(async (address) => {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  await once(socket, "connect");
  const pending: ((answer: Buffer) => void)[] = [];
  const free: number[] = [];
  const framing = new BareFraming(socket, (number, chunk, start, end) => {
    free.push(number);
    pending[number](Buffer.from(chunk.subarray(start, end)));
  });
  const call = (message: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const number = free.pop() ?? pending.length;
      pending[number] = resolve;
      framing.send(number, message, 0, message.length);
    });
  checkEcho(await call(ECHO_MESSAGE));
  return (slot) => {
    call(ECHO_MESSAGE).then(slot.resolved, slot.rejected);
  };
});
