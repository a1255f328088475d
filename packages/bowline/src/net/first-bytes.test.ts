import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clientProtocol, explainFirstBytes } from "./first-bytes.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("clientProtocol", () => {
  it("waits for the whole preface before it says http2", () => {
    for (let length = 0; length < PREFACE.length; length++) {
      expect(clientProtocol(PREFACE.subarray(0, length))).toBe("undecided");
    }
    expect(clientProtocol(PREFACE)).toBe("http2");
    expect(clientProtocol(Buffer.concat([PREFACE, Buffer.from("more")]))).toBe("http2");
  });

  it("decides at the first byte that differs", () => {
    expect(clientProtocol(Buffer.from("G"))).toBe("undecided");
    expect(clientProtocol(Buffer.from("GET "))).toBe("http1");
    expect(clientProtocol(Buffer.from("POST /"))).toBe("http1");
    expect(clientProtocol(Buffer.from("INVALID CONNECTION"))).toBe("garbage");
    expect(clientProtocol(Buffer.from("PRI * HTTP/2.1"))).toBe("http1");
    expect(clientProtocol(Buffer.from([0x16]))).toBe("undecided");
    expect(clientProtocol(Buffer.from([0x16, 3]))).toBe("tls");
    expect(clientProtocol(Buffer.from([0x16, 4]))).toBe("garbage");
    expect(clientProtocol(Buffer.from([0]))).toBe("garbage");
    expect(clientProtocol(Buffer.from("get"))).toBe("garbage");
  });

  it("decides any bytes within 24, and never changes its mind", () => {
    const nearly = fc
      .tuple(fc.nat(24), fc.uint8Array({ maxLength: 30 }))
      .map(([same, rest]) => Buffer.concat([PREFACE.subarray(0, same), rest]));
    fc.assert(
      fc.property(nearly, (bytes) => {
        const verdicts = Array.from({ length: bytes.length + 1 }, (_, length) =>
          clientProtocol(bytes.subarray(0, length)),
        );
        const decided = verdicts.filter((verdict) => verdict !== "undecided");
        expect(new Set(decided).size).toBeLessThanOrEqual(1);
        if (bytes.length >= 24) expect(verdicts[24]).not.toBe("undecided");
      }),
    );
  });
});

describe("explainFirstBytes", () => {
  it.each([
    [Buffer.from([0x15, 3, 1, 0, 2, 2, 70]), "turn on tls"],
    [Buffer.from([0x15]), "turn on tls"],
    [Buffer.from([0x16, 3, 3, 0, 80]), "turn on tls"],
    [Buffer.from("HTTP/1.1 400 Bad Request\r\nserver: x\r\n"), 'its answer: "HTTP/1.1 400 Bad Request"'],
    [Buffer.from("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request"), "speaks HTTP/1"],
    [Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"), 'is an SSH server, not a gRPC server (it said "SSH-2.0-OpenSSH_9.2")'],
    [Buffer.from("-ERR unknown command 'PRI'\r\n"), "Redis"],
    [Buffer.from("220 mail ESMTP\r\n"), "SMTP"],
    [Buffer.from("AMQP\0\0\x09\x01"), 'AMQP broker, not a gRPC server (it said "AMQP")'],
    [Buffer.from("<html><body>"), "a document"],
  ])("knows %o", (bytes, text) => {
    expect(explainFirstBytes(bytes)).toContain(text);
  });

  it("says nothing of what may be HTTP/2, or is unknown", () => {
    expect(explainFirstBytes(Buffer.alloc(0))).toBeUndefined();
    expect(explainFirstBytes(Buffer.from([0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3]))).toBeUndefined();
    expect(explainFirstBytes(Buffer.from([0]))).toBeUndefined();
    expect(explainFirstBytes(Buffer.from("whatever"))).toBeUndefined();
  });

  it("shows only what can be printed, and no more than a line", () => {
    fc.assert(
      fc.property(fc.constantFrom("HTTP/1.1 ", "SSH-", "220 "), fc.uint8Array({ maxLength: 200 }), (start, rest) => {
        const text = explainFirstBytes(Buffer.concat([Buffer.from(start), rest]));
        expect(text).toMatch(/^[\x20-\x7e]{20,200}$/);
      }),
    );
  });
});
