// The least that a round trip costs: what comes in goes out as it is.
import { type AddressInfo, createServer } from "node:net";
import { announce } from "../../../test/peers/peer-lines.ts";

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => announce({ addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }));
