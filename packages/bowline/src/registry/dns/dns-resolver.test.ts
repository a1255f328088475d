import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ResolveHost, systemResolveHost } from "./dns-resolver.ts";

const [A, AAAA] = [1, 28];
const [SERVFAIL, NXDOMAIN] = [2, 3];

/** What the server of the test answers: bytes of addresses with a TTL, or an error code. */
type Reply = { readonly ttlSeconds: number; readonly data: readonly (readonly number[])[] } | number;

const v4 = (ttlSeconds: number, ...data: number[][]): Reply => ({ ttlSeconds, data });
const v6 = (ttlSeconds: number, last: number): Reply => ({
  ttlSeconds,
  data: [[0xfd, ...new Array<number>(14).fill(0), last]],
});

/** An answer by RFC 1035 §4.1 to a question with one name. */
function encodeReply(question: Buffer, reply: Reply): Buffer {
  const records = typeof reply === "number" ? [] : reply.data;
  const type = question.readUInt16BE(endOfName(question));
  const header = Buffer.alloc(12);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (typeof reply === "number" ? reply : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const answers = records.map((data) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(typeof reply === "number" ? 0 : reply.ttlSeconds, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, Buffer.from(data)]);
  });
  return Buffer.concat([header, question.subarray(12, endOfName(question) + 4), ...answers]);
}

function endOfName(question: Buffer): number {
  let at = 12;
  while (question[at] !== 0) at += question[at] + 1;
  return at + 1;
}

describe("the system's resolver", () => {
  let server: Socket;
  let resolve: ResolveHost;
  const replies = new Map<number, Reply>();

  beforeEach(async () => {
    server = createSocket("udp4");
    server.on("message", (question, sender) => {
      const reply = replies.get(question.readUInt16BE(endOfName(question))) ?? NXDOMAIN;
      server.send(encodeReply(question, reply), sender.port, sender.address);
    });
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    resolve = systemResolveHost(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterEach(() => {
    replies.clear();
    server.close();
  });

  it("gives both families with the shortest TTL", async () => {
    replies.set(A, v4(60, [10, 0, 0, 7], [10, 0, 0, 8])).set(AAAA, v6(30, 7));
    const { addresses, ttlMs, failedFamily } = await resolve("user.internal");
    expect([...addresses].sort()).toEqual(["10.0.0.7", "10.0.0.8", "fd00::7"]);
    expect([ttlMs, failedFamily]).toEqual([30_000, undefined]);
  });

  it("does not take a family without records for a failure", async () => {
    replies.set(A, v4(60, [10, 0, 0, 7])).set(AAAA, v4(60));
    expect(await resolve("user.internal")).toEqual({ addresses: ["10.0.0.7"], ttlMs: 60_000, failedFamily: undefined });
  });

  it("names the family that the server could not answer for", async () => {
    replies.set(A, SERVFAIL).set(AAAA, v6(5, 1));
    expect(await resolve("user.internal")).toEqual({ addresses: ["fd00::1"], ttlMs: 5_000, failedFamily: 4 });
  });

  it("rejects with the failure rather than with the absence", async () => {
    replies.set(A, NXDOMAIN).set(AAAA, SERVFAIL);
    await expect(resolve("user.internal")).rejects.toMatchObject({ code: "ESERVFAIL" });
  });

  it("rejects a name that does not exist", async () => {
    await expect(resolve("user.internal")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("asks the operating system for names of one part", async () => {
    const { addresses, ttlMs } = await systemResolveHost("")("localhost");
    expect(["127.0.0.1", "::1"]).toEqual(expect.arrayContaining([...addresses]));
    expect(addresses.length).toBeGreaterThan(0);
    expect(ttlMs).toBeUndefined();
  });
});
