// Bowline as it comes, everything on: each call has a deadline that differs from the one before, and a trace of its own.
// `client.ts ADDRESS [--cert FILE --key FILE --ca FILE] [--without LAYER,LAYER]`
import { parseArgs } from "node:util";
import { type Client, type ClientOptions, createClient } from "bowline";
import { Outbox } from "../../../test/peers/outbox.ts";
import type { Load } from "../../harness/load/load.ts";
import { type LoadConnection, runLoadClient } from "../../harness/load/load-client.ts";
import type { Slot, StartCall } from "../../harness/load/slot.ts";
import { checkEcho, ECHO_MESSAGE, echoMessage, PROGRESS_MESSAGES, streamRequest } from "../echo.ts";
import { type EchoClient, EchoService } from "./echo-service.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cert: { type: "string" },
    key: { type: "string" },
    ca: { type: "string" },
    without: { type: "string", default: "" },
  },
});
const options: ClientOptions = {
  without: values.without.split(",").filter((name) => name !== ""),
  ...(values.ca === undefined ? {} : { tls: { certificate: values.cert, key: values.key, authorities: values.ca } }),
};

let connections = 0;
/** Deadlines differ in each call: no header block can be kept for the next. */
let calls = 0;

function timeoutMs(): number {
  calls = (calls + 1) & 0xfff;
  return 2000 + calls;
}

function unary(client: Client<EchoClient>, { messageBytes }: Load): StartCall {
  const message = echoMessage(messageBytes);
  return (slot) => {
    client.unary(message, { timeoutMs: timeoutMs() }).then(slot.resolved, slot.rejected);
  };
}

function serverStream(client: Client<EchoClient>, { messagesPerCall, messageBytes }: Load): StartCall {
  const request = streamRequest(messagesPerCall, messageBytes);
  const read = async (slot: Slot): Promise<void> => {
    let seen = 0;
    for await (const message of client.serverStream(request, { timeoutMs: 60_000 + timeoutMs() })) {
      if (message.length >= messageBytes && ++seen % PROGRESS_MESSAGES === 0) slot.progressed(PROGRESS_MESSAGES);
    }
    if (seen !== messagesPerCall) throw new Error(`${seen} of ${messagesPerCall} messages came`);
  };
  return (slot) => {
    read(slot).then(slot.resolved, slot.rejected);
  };
}

/** Each slot has a stream of its own that stays open. */
function bidi(client: Client<EchoClient>, { messageBytes }: Load): StartCall {
  const message = echoMessage(messageBytes);
  const streams: { readonly outbox: Outbox<Uint8Array>; readonly answers: AsyncIterator<Uint8Array> }[] = [];
  return (slot: Slot) => {
    let stream = streams[slot.index];
    if (stream === undefined) {
      const outbox = new Outbox<Uint8Array>();
      const answers = client.bidiStream(outbox, { timeoutMs: 600_000 })[Symbol.asyncIterator]();
      stream = { outbox, answers };
      streams[slot.index] = stream;
    }
    stream.outbox.push(message);
    stream.answers
      .next()
      .then(({ done }) => (done ? slot.rejected("the stream ended") : slot.resolved()), slot.rejected);
  };
}

const starters = { unary, serverStream, bidi };

await runLoadClient(positionals[0], async (address): Promise<LoadConnection> => {
  // Clients of one target share its connection unless their settings differ.
  const client = createClient(EchoService, address, { ...options, idleTimeoutMs: 1_800_000 + connections++ });
  checkEcho(await client.unary(ECHO_MESSAGE));
  return { start: (load) => starters[load.method](client, load) };
});
