import type { Socket } from "node:net";

/** How long a write may make no progress before the other end counts as one that has stopped reading. */
const STUCK_MS = 1000;

/**
 * Writes `chunk` again and again as fast as it is taken, up to `maxBytes`. Resolves with what ended it: the other end dropped the
 * connection, it stopped reading, or it took all.
 */
export async function pour(socket: Socket, chunk: Buffer, maxBytes: number): Promise<"closed" | "stuck" | "taken"> {
  for (let sent = 0; sent < maxBytes; sent += chunk.length) {
    if (socket.destroyed || !socket.writable) return "closed";
    if (socket.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
    else if (!(await drained(socket))) return socket.destroyed ? "closed" : "stuck";
  }
  return "taken";
}

/** False when the socket was closed or made no progress. */
function drained(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isDrained: boolean): void => {
      clearTimeout(timer);
      socket.off("drain", onDrain).off("close", onClose);
      resolve(isDrained);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const timer = setTimeout(onClose, STUCK_MS);
    socket.on("drain", onDrain).on("close", onClose);
  });
}

/** Resolves when the other end has ended or dropped the connection; whatever comes before is thrown away. */
export async function ended(socket: Socket): Promise<void> {
  if (socket.destroyed || socket.readableEnded) return;
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once("end", resolve);
    socket.once("close", () => resolve());
  });
}
