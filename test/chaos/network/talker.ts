// A program for tests of networks: tells whoever connects what address it sees, and asks others the same. Option: --listen PORT.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { announce, printLine } from "../../peers/peer-lines.ts";

/** What it is told to do, a line each. */
interface Order {
  /** Connects and asks; absent: asks on the connection that it has. */
  readonly ask?: { readonly address: string; readonly port: number };
  /** An answer takes this long, or there is none: what does not arrive can't be waited for in another way. */
  readonly patienceMs: number;
}

const { values } = parseArgs({ options: { listen: { type: "string", default: "0" } } });
let socket: Socket | undefined;

async function ask(order: Order): Promise<string> {
  const signal = AbortSignal.timeout(order.patienceMs);
  try {
    if (order.ask !== undefined) socket = await connected(order.ask.address, order.ask.port, signal);
    if (socket === undefined) throw new Error("it has not asked anybody yet");
    const answer = once(socket, "data", { signal });
    socket.write("who am I?");
    return String((await answer)[0]);
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    return name === "AbortError" ? "silence" : (code ?? message);
  }
}

async function connected(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  socket?.destroy();
  const made = connect({ host, port });
  made.on("error", () => {});
  socket = made;
  await once(made, "connect", { signal });
  return made;
}

const server = createServer((peer) => {
  peer.on("error", () => {});
  peer.on("data", () => peer.write(String(peer.remoteAddress)));
});
server.listen(Number(values.listen), "0.0.0.0");
await once(server, "listening");
createInterface({ input: process.stdin }).on("line", (text) => {
  void ask(JSON.parse(text) as Order).then((answer) => printLine({ answer }));
});
announce({});
