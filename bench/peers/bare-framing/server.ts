// The limit: frames over a socket, answered by an async handler.
import { type AddressInfo, createServer } from "node:net";
import { announce } from "../../../test/peers/peer-lines.ts";
import { BareFraming, ownCopy } from "./bare-framing.ts";

const handler = async (message: Buffer): Promise<Buffer> => message;

const server = createServer((socket) => {
  const answer = async (number: number, message: Buffer): Promise<void> => {
    const reply = await handler(message);
    framing.send(number, reply, 0, reply.length);
  };
  const framing = new BareFraming(socket, (number, chunk, start, end) => {
    void answer(number, ownCopy(chunk, start, end));
  });
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }));
