import type { Socket } from "node:net";

/** Answers HTTP/1.1 requests with 404 and a hint: the port speaks HTTP/2. Takes each connection over at once. */
export async function http1Hint(): Promise<(socket: Socket) => void> {
  const { createServer } = await import("node:http");
  const server = createServer((_request, response) => {
    response.writeHead(404, { "content-type": "text/plain; charset=utf-8", connection: "close" });
    response.end("This port serves gRPC over HTTP/2 only. With curl: --http2-prior-knowledge.\n");
  });
  return (socket) => void server.emit("connection", socket);
}
