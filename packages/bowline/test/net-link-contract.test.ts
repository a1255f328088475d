import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { NetLink } from "../src/http2/net-link.ts";
import { systemClock } from "../src/rpc/clock.ts";
import { linkContract } from "./link-contract.ts";

linkContract("a link over TCP", async () => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const accepted = once(server, "connection");
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [socket]: Socket[] = await accepted;
  const link = (end: Socket): NetLink =>
    new NetLink(end, {
      clock: systemClock,
      peer: { remoteAddress: `127.0.0.1:${end.remotePort}`, localAddress: `127.0.0.1:${end.localPort}` },
    });
  const close = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    await closed;
  };
  return { near: link(client), far: link(socket), close };
});
