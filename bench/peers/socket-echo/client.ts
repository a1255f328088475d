// The least that a round trip costs: a message is written, and so many bytes have come back. Answers come in order.
import { once } from "node:events";
import { connect } from "node:net";
import { runLoadClient, unaryOnly } from "../../harness/load/load-client.ts";
import type { Slot } from "../../harness/load/slot.ts";
import { echoMessage } from "../echo.ts";

await runLoadClient(process.argv[2], async (address) => {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host);
  await once(socket, "connect");
  socket.setNoDelay(true);
  let messageBytes = 0;
  let received = 0;
  const waiting: Slot[] = [];
  socket.on("data", (chunk) => {
    received += chunk.length;
    for (; received >= messageBytes; received -= messageBytes) waiting.shift()?.resolved();
  });
  return {
    start: (load) => {
      unaryOnly(load);
      messageBytes = load.messageBytes;
      const message = echoMessage(messageBytes);
      return (slot) => {
        waiting.push(slot);
        socket.write(message);
      };
    },
  };
});
