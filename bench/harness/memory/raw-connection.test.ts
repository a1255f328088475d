import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { RawConnection } from "./raw-connection.ts";

it("makes calls that node:http2 understands, and sees each end", async () => {
  const seen: unknown[] = [];
  const server = createServer();
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      seen.push([headers[":path"], headers["grpc-timeout"], Buffer.concat(chunks).toString("hex")]);
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end("answer");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const connection = await RawConnection.open(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  await connection.call({ path: "/a.B/C", message: Buffer.from([1, 2]), timeout: "60S" });
  await connection.call({ path: "/a.B/D", message: Buffer.alloc(0) });
  expect(seen).toEqual([
    ["/a.B/C", "60S", "00000000020102"],
    ["/a.B/D", undefined, "0000000000"],
  ]);
  connection.close();
  server.close();
});
