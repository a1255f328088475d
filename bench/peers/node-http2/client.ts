// Unary gRPC by hand on node:http2.
import { once } from "node:events";
import { connect } from "node:http2";
import { runLoadClient, unaryOnly } from "../../harness/load/load-client.ts";
import { checkEcho, ECHO_MESSAGE, echoMessage, UNARY_PATH } from "../echo.ts";
import { grpcFrame, messageOf } from "./grpc-frame.ts";

await runLoadClient(process.argv[2], async (address) => {
  const session = connect(`http://${address}`);
  await once(session, "connect");
  const headers = { ":method": "POST", ":path": UNARY_PATH, "content-type": "application/grpc", te: "trailers" };
  const call = (frame: Buffer, ended: (error: unknown, answer?: Buffer) => void): void => {
    let answer: Buffer | undefined;
    let status: unknown;
    const stream = session.request(headers);
    stream.on("data", (chunk: Buffer) => {
      answer = answer === undefined ? chunk : Buffer.concat([answer, chunk]);
    });
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("error", ended);
    stream.on("end", () => (status === "0" ? ended(null, answer) : ended(new Error(`grpc-status ${status}`))));
    stream.end(frame);
  };
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  call(grpcFrame(ECHO_MESSAGE), (error, answer) => (answer === undefined ? reject(error) : resolve(answer)));
  checkEcho(messageOf(await promise));
  return {
    start: (load) => {
      unaryOnly(load);
      const frame = grpcFrame(echoMessage(load.messageBytes));
      return (slot) => call(frame, slot.called);
    },
  };
});
