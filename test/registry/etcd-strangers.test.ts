import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { seededRandom, systemClock } from "bowline/testing";
import { afterEach, describe, expect, it } from "vitest";
import { etcd } from "../../packages/bowline/src/registry/etcd/index.ts";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import type { Registry } from "../../packages/bowline/src/registry/registry.ts";

let server: Server | undefined;
let registry: Registry | undefined;
const sockets: Set<Socket> = new Set();

afterEach(async () => {
  await registry?.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server?.close();
});

/** Something that listens and is no etcd. Gives its address. */
async function stranger(answer: (socket: Socket) => void): Promise<string> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
    answer(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const http = (status: string, body: string, more: string = ""): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: text/html\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;

const STRANGERS: readonly [string, (socket: Socket) => void, RegExp][] = [
  ["a page", (socket) => socket.write(http("200 OK", "<html><body>Welcome</body></html>")), /HTTP\/1/],
  ["a redirect", (socket) => socket.write(http("302 Found", "", "location: https://elsewhere/\r\n")), /HTTP\/1/],
  ["garbage", (socket) => socket.write(Buffer.alloc(512, 0xee)), /HTTP\/2|bytes|garbage|preface|SETTINGS/i],
  ["the end of the connection", (socket) => socket.end(), /closed/],
  ["nothing at all", () => {}, /sent nothing of HTTP\/2; is it a gRPC server/],
];

describe("something that is no etcd", () => {
  it.each(STRANGERS)(
    "and answers with %s is told in one clear error that names host and option",
    async (_what, answer, reason) => {
      const host = await stranger(answer);
      const reports: Error[] = [];
      const report = (error: Error): void => void reports.push(error);
      const options = { hosts: [host], requestTimeoutMs: 5000, connectTimeoutMs: 300 };
      registry = etcd(options).create({ clock: systemClock, random: seededRandom(1), environment: {}, report });
      const failed = Promise.withResolvers<Error>();
      registry.watch("user.rpc", {
        snapshot: () => failed.reject(new Error("a snapshot came")),
        failed: failed.resolve,
      });
      const { message } = await failed.promise;
      expect(message).toContain(host);
      expect(message).toMatch(/^etcd registry: reading the keys of .*option.? hosts/);
      expect(message).toMatch(reason);
      const registration = await registry.register("user.rpc", instanceAt("10.0.0.7:8080"));
      expect([registration.state, reports.length]).toEqual(["pending", 1]);
    },
  );
});
