import type { Socket } from "node:net";

/** The connection preface and an empty SETTINGS frame (RFC 9113 §3.4). */
const GREETING = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
const SETTINGS = 4;
/** Length, type and flags of a frame. */
const HEAD_BYTES = 5;
const MAX_SETTINGS_BYTES = 16_384;

/** Greets as an HTTP/2 client and waits for the server's SETTINGS; rejects with what it speaks instead. */
export function greet(socket: Socket, isSecure: boolean): Promise<readonly [value: undefined, detail: string]> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const fail = (code: string, message: string): void => reject(Object.assign(new Error(message), { code }));
    socket.on("data", (bytes) => {
      seen = Buffer.concat([seen, bytes]);
      if (seen.length < HEAD_BYTES) return;
      if (seen[3] === SETTINGS && seen.readUIntBE(0, 3) <= MAX_SETTINGS_BYTES)
        resolve([undefined, "SETTINGS received"]);
      else fail(...otherProtocol(seen));
    });
    socket.once("error", (error) => fail("ECONNRESET", error.message));
    socket.once("close", () => {
      const may = isSecure ? "" : "; it may expect TLS";
      fail("ECONNRESET", `the server closed the connection without a word of HTTP/2${may}`);
    });
    socket.write(GREETING);
  });
}

function otherProtocol(bytes: Buffer): [code: string, message: string] {
  const text = bytes.toString("latin1");
  if (text.startsWith("HTTP/1")) return ["ERR_HTTP1", `the server speaks HTTP/1: "${text.split("\r\n", 1)[0]}"`];
  // A record of TLS: alert or handshake, version 3.x (RFC 8446 §5.1).
  if ((bytes[0] === 21 || bytes[0] === 22) && bytes[1] === 3) return ["ERR_TLS_WANTED", "the server expects TLS"];
  return ["ERR_OTHER_PROTOCOL", `the server speaks something else: ${JSON.stringify(text.slice(0, 40))}`];
}
