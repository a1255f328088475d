// grpc-js with nothing on: bytes in, the same bytes out.
import { promisify } from "node:util";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { announce } from "../../test/peers/peer-lines.ts";
import { ECHO_PATH } from "./echo.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
const server = new Server();
server.register(
  ECHO_PATH,
  (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request),
  asIs,
  asIs,
  "unary",
);
const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
announce({ addr: `127.0.0.1:${port}` });
