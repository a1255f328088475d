// The limit: frames over a socket, a promise for each call.
import { once } from "node:events";
import { connect } from "node:net";
import { runLoadClient, unaryOnly } from "../../harness/load/load-client.ts";
import { checkEcho, ECHO_MESSAGE, echoMessage } from "../echo.ts";
import { BareFraming, ownCopy } from "./bare-framing.ts";

await runLoadClient(process.argv[2], async (address) => {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  await once(socket, "connect");
  const pending: ((answer: Buffer) => void)[] = [];
  const free: number[] = [];
  const framing = new BareFraming(socket, (number, chunk, start, end) => {
    free.push(number);
    pending[number](ownCopy(chunk, start, end));
  });
  const call = (message: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const number = free.pop() ?? pending.length;
      pending[number] = resolve;
      framing.send(number, message, 0, message.length);
    });
  checkEcho(await call(ECHO_MESSAGE));
  return {
    start: (load) => {
      unaryOnly(load);
      const message = echoMessage(load.messageBytes);
      return (slot) => {
        call(message).then(slot.resolved, slot.rejected);
      };
    },
  };
});
