// grpc-js with nothing on: no deadline, no metadata, messages are bytes.
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import type { Load } from "../../harness/load/load.ts";
import { type LoadConnection, runLoadClient } from "../../harness/load/load-client.ts";
import type { Slot, StartCall } from "../../harness/load/slot.ts";
import {
  BIDI_STREAM_PATH,
  checkEcho,
  ECHO_MESSAGE,
  echoMessage,
  PROGRESS_MESSAGES,
  SERVER_STREAM_PATH,
  streamRequest,
  UNARY_PATH,
} from "../echo.ts";

const asIs = (bytes: Buffer): Buffer => bytes;

function unary(client: Client, { messageBytes }: Load): StartCall {
  const message = echoMessage(messageBytes);
  return (slot) => client.makeUnaryRequest(UNARY_PATH, asIs, asIs, message, slot.called);
}

function serverStream(client: Client, { messagesPerCall, messageBytes }: Load): StartCall {
  const request = streamRequest(messagesPerCall, messageBytes);
  return (slot) => {
    let seen = 0;
    const call = client.makeServerStreamRequest(SERVER_STREAM_PATH, asIs, asIs, request);
    call.on("data", (message: Buffer) => {
      if (message.length >= messageBytes && ++seen % PROGRESS_MESSAGES === 0) slot.progressed(PROGRESS_MESSAGES);
    });
    call.on("error", slot.rejected);
    call.on("end", () => {
      if (seen === messagesPerCall) slot.resolved();
      else slot.rejected(`${seen} of ${messagesPerCall} messages came`);
    });
  };
}

/** Each slot has a stream of its own that stays open. */
function bidi(client: Client, { messageBytes }: Load): StartCall {
  const message = echoMessage(messageBytes);
  const streams: ClientDuplexStream<Buffer, Buffer>[] = [];
  return (slot: Slot) => {
    let stream = streams[slot.index];
    if (stream === undefined) {
      stream = client.makeBidiStreamRequest(BIDI_STREAM_PATH, asIs, asIs);
      stream.on("data", slot.resolved).on("error", slot.rejected);
      streams[slot.index] = stream;
    }
    stream.write(message);
  };
}

const starters = { unary, serverStream, bidi };

await runLoadClient(process.argv[2], async (address): Promise<LoadConnection> => {
  // Clients of one target share its connection unless told otherwise.
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  client.makeUnaryRequest(UNARY_PATH, asIs, asIs, ECHO_MESSAGE, (error, answer) =>
    answer === undefined ? reject(error) : resolve(answer),
  );
  checkEcho(await promise);
  return { start: (load) => starters[load.method](client, load) };
});
