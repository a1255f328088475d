import type { Socket } from "node:net";
import type { Clock } from "../../rpc/clock.ts";

/** How long a client may take to read the hint. */
const READ_TIMEOUT_MS = 1000;

const BODY = "This port serves gRPC over HTTP/2. Call it with a gRPC client, such as grpcurl.\n";

const ANSWER = `HTTP/1.1 404 Not Found\r
content-type: text/plain; charset=utf-8\r
content-length: ${BODY.length}\r
connection: close\r
\r
${BODY}`;

/**
 * Answers a connection that speaks HTTP/1.1, and ends it. The answer is the same for all requests, so none is read: a client that sends
 * without end, or nothing more, gets no further than others.
 */
export function answerHttp1(socket: Socket, clock: Clock): void {
  const timer = clock.setTimeout(() => socket.destroy(), READ_TIMEOUT_MS);
  socket.once("close", () => timer.cancel());
  // What still arrives is read and dropped: unread bytes would turn the close into a reset, which can overtake the answer.
  socket.resume();
  socket.end(ANSWER);
}
