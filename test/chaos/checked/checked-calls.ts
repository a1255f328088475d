import type { CallOptions, Client } from "bowline";
import type { Chance } from "../../codec/chance.ts";
import type { EchoClient } from "../../gen/peer/v1/echo_rpc.ts";

/** A client of peer.v1.Echo. */
export type EchoStub = Client<EchoClient>;

/** The answer was not what it must be. */
export class WrongAnswerError extends Error {
  override readonly name: string = "WrongAnswerError";
}

const MAX_MESSAGES = 8;

/** Makes one call of a kind that chance decides, with content that chance decides, and checks each octet of what comes back. */
export async function checkedCall(
  stub: EchoStub,
  chance: Chance,
  maxBytes: number,
  options: CallOptions,
): Promise<void> {
  const payloads = chance.list(1, MAX_MESSAGES, () => chance.bytes(chance.int(0, maxBytes)));
  await chance.oneOf(
    () => unary(stub, payloads[0], options),
    () => serverStream(stub, payloads.length, payloads[0].length, options),
    () => clientStream(stub, payloads, options),
    () => bidiStream(stub, payloads, options),
  );
}

/** A unary call. */
export async function unary(stub: EchoStub, payload: Uint8Array, options: CallOptions): Promise<void> {
  const answer = await stub.unary({ payload }, options);
  same("the answer", answer.payload, payload);
}

async function serverStream(stub: EchoStub, count: number, payloadBytes: number, options: CallOptions): Promise<void> {
  let position = 0;
  for await (const answer of stub.serverStream({ count, payloadBytes }, options)) {
    inOrder(answer.sequence, position);
    same(`answer ${position}`, answer.payload, new Uint8Array(payloadBytes).fill(position));
    position++;
  }
  all(position, count);
}

async function clientStream(stub: EchoStub, payloads: readonly Uint8Array[], options: CallOptions): Promise<void> {
  const answer = await stub.clientStream(requests(payloads), options);
  all(answer.sequence, payloads.length);
  same("the answer", answer.payload, Buffer.concat(payloads));
}

async function bidiStream(stub: EchoStub, payloads: readonly Uint8Array[], options: CallOptions): Promise<void> {
  let position = 0;
  for await (const answer of stub.bidiStream(requests(payloads), options)) {
    inOrder(answer.sequence, position);
    same(`answer ${position}`, answer.payload, payloads[position]);
    position++;
  }
  all(position, payloads.length);
}

async function* requests(payloads: readonly Uint8Array[]): AsyncIterable<{ payload: Uint8Array }> {
  for (const payload of payloads) yield { payload };
}

function inOrder(sequence: number, position: number): void {
  if (sequence !== position) throw new WrongAnswerError(`answer ${sequence} came in the place of ${position}`);
}

function all(seen: number, expected: number): void {
  if (seen !== expected) throw new WrongAnswerError(`${seen} messages of ${expected} came`);
}

function same(what: string, seen: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(seen, expected) === 0) return;
  throw new WrongAnswerError(`${what} is not what was sent: ${seen.length} bytes, sent were ${expected.length}`);
}
