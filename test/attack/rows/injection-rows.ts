import assert from "node:assert/strict";
import { once } from "node:events";
import { grpcMessage } from "bowline/testing";
import type { AttackedServer } from "../attacked-server.ts";
import { echoFields } from "../provocation.ts";
import type { Row } from "../row.ts";

const badMetadata: readonly Readonly<Record<string, string>>[] = [
  { "a\r\nb": "c" },
  { "a b": "c" },
  { ":path": "/peer.v1.Echo/Fail" },
  { "grpc-status": "0" },
  { a: "b\r\nc: d" },
  { a: "b\0" },
  { a: "b\u00ff" },
];

const ownHeaders: Row = {
  row: 19,
  role: "client",
  title: "header injection by what a user puts into metadata",
  required: "the call fails before anything is written",
  attack: async (client) => {
    for (const metadata of badMetadata) {
      let wasSent = false;
      const script = async (): Promise<void> => {
        wasSent = true;
      };
      const [end] = await client.call(script, { metadata });
      assert.notEqual(end.code, 0, `${JSON.stringify(metadata)} was sent`);
      assert.ok(!wasSent, `HEADERS came for ${JSON.stringify(metadata)}: ${end.text}`);
    }
    return `${badMetadata.length} of ${badMetadata.length} refused before a byte`;
  },
};

/** FailRequest { code, message } in its prefix. */
function failRequest(code: number, message: string): Buffer {
  const text = Buffer.from(message);
  return grpcMessage(Buffer.concat([Buffer.of(0x08, code, 0x12, text.length), text]));
}

const ownStatus: Row = {
  row: 19,
  role: "server",
  title: "header injection by what a handler puts into a status",
  required: "encoded: no CR, LF or further field on the wire",
  attack: async (server) => {
    const peer = await server.open();
    peer.headers(1, echoFields("Fail")).data(1, failRequest(5, "a\r\nx-injected: 1\0%41\u20ac"), { end: true });
    const { headers = {} } = await peer.expect("HEADERS", ({ isEnd }) => isEnd);
    assert.equal(headers["grpc-status"], "5");
    assert.equal(headers["grpc-message"], "a%0D%0Ax-injected: 1%00%2541%E2%82%AC");
    assert.ok(!("x-injected" in headers));
    peer.destroy();
    return headers["grpc-message"];
  },
};

const smuggled: readonly [what: string, request: string][] = [
  [
    "transfer-encoding and content-length",
    "POST /peer.v1.Echo/Unary HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n",
  ],
  [
    "chunk extensions",
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0;ext=\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n\r\n\r\n",
  ],
  ["bare LF", "GET / HTTP/1.1\nhost: a\n\nGET /second HTTP/1.1\nhost: a\n\n"],
  ["two in one write", "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n"],
];

/** All that comes until the server ends the connection. */
async function answerTo(server: AttackedServer, request: string): Promise<string> {
  const socket = await server.socket();
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write(request);
  await once(socket, "end");
  socket.destroy();
  return text;
}

const smuggling: Row = {
  row: 20,
  role: "server",
  title: "HTTP/1 requests hidden in others (CVE-2021-21295, CVE-2023-39326)",
  required: "one answer with an error, then the connection ends: never a second request",
  reasons: ["http1"],
  attack: async (server) => {
    for (const [what, request] of smuggled) {
      const text = await answerTo(server, request);
      assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, `${what}: ${JSON.stringify(text)}`);
      assert.match(text, /^HTTP\/1\.1 4[0-9]{2} /, what);
      assert.match(text, /connection: close/i, what);
    }
    return `${smuggled.length} of ${smuggled.length} answered once`;
  },
};

/** Rows about text that pretends to be protocol. */
export const injectionRows: readonly Row[] = [ownHeaders, ownStatus, smuggling];
