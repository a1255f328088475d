// grpc-js with nothing on: bytes in, the same bytes out.
import { promisify } from "node:util";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { announce } from "../../../test/peers/peer-lines.ts";
import { BIDI_STREAM_PATH, readStreamRequest, SERVER_STREAM_PATH, SLOW_PATH, UNARY_PATH } from "../echo.ts";

const asIs = (bytes: Buffer): Buffer => bytes;

function unary(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  answer(null, call.request);
}

function serverStream(call: ServerWritableStream<Buffer, Buffer>): void {
  const { count, message } = readStreamRequest(call.request);
  let sent = 0;
  const pump = (): void => {
    while (sent < count) {
      sent++;
      if (!call.write(message)) {
        call.once("drain", pump);
        return;
      }
    }
    call.end();
  };
  pump();
}

function bidiStream(call: ServerDuplexStream<Buffer, Buffer>): void {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
}

function slow(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  call.on("cancelled", () => answer({ code: 1 }));
}

const server = new Server();
server.register(UNARY_PATH, unary, asIs, asIs, "unary");
server.register(SERVER_STREAM_PATH, serverStream, asIs, asIs, "serverStream");
server.register(BIDI_STREAM_PATH, bidiStream, asIs, asIs, "bidi");
server.register(SLOW_PATH, slow, asIs, asIs, "unary");
const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
announce({ addr: `127.0.0.1:${port}` });
