import { listen } from "../src/net/listener.ts";
import { systemClock } from "../src/rpc/clock.ts";

/**
 * A server to be run with few file descriptors: writes its port, says hello to HTTP/2 clients, writes the number of its
 * connections for each line that it reads, and ends with its input.
 */
const listener = await listen("127.0.0.1:0", {
  clock: systemClock,
  onHttp2: (link) => {
    link.start({ linkData: () => {}, linkDrain: () => {}, linkEnd: () => link.end(), linkClosed: () => {} });
    link.write(Buffer.from("hello"));
  },
});
process.stdout.write(`${listener.port}\n`);
for await (const _line of process.stdin) process.stdout.write(`${listener.connections}\n`);
await listener.close();
