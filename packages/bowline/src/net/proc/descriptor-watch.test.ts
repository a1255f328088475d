import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";

const MAX_DESCRIPTORS = 64;
const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Listens, and prints its port and what it notices, a line each. */
const program = `
  import { listen } from ${url("../listener.ts")};
  import { systemClock } from ${url("../../rpc/clock.ts")};
  const onMisuse = (kind, peer, text) => console.log(kind, peer, text);
  const onHttp2 = () => console.log("served");
  const { port } = await listen("127.0.0.1:0", { clock: systemClock, onMisuse, onHttp2, handshakeTimeoutMs: 1e6 });
  console.log(port);
`;

describe.runIf(existsSync("/proc/self/limits"))("a process that runs out of file descriptors", () => {
  it("says so before, counts while there are none, and serves again afterwards", async () => {
    const args = [process.execPath, "--input-type=module", "-e", program];
    const limited = ["-c", `ulimit -n ${MAX_DESCRIPTORS}; exec "$0" "$@"`, ...args];
    const child = spawn("sh", limited, { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => (await lines.next()).value as string;
    const port = Number(await next());
    const sockets: Socket[] = [];
    for (let i = 0; i < 2 * MAX_DESCRIPTORS; i++)
      sockets.push(connect({ port, host: "127.0.0.1" }).on("error", () => {}));

    expect(await next()).toMatch(
      /^few-descriptors a client 6[1-4] of 64 descriptors are open: raise `ulimit -n` or lower maxConnections$/,
    );
    for (let i = 0; i < 2; i++) {
      expect(await next()).toMatch(
        /^accept-failed a client could not be taken: all 64 descriptors are open \(EMFILE\); raise/,
      );
    }
    for (const socket of sockets) socket.destroy();
    const serve = (): void => {
      const socket = connect({ port, host: "127.0.0.1" }, () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
      // It came before the ends of the others were seen.
      socket.on("error", serve).on("end", serve);
      sockets.push(socket);
    };
    serve();
    let line = await next();
    while (line.startsWith("accept-failed")) line = await next();
    expect(line).toBe("served");
    for (const socket of sockets) socket.removeAllListeners("end").destroy();
    child.kill();
    await exited;
  });
});
