import {
  grpcMessage,
  grpcRequestFields,
  grpcResponseFields,
  type HeaderList,
  type RawPeer,
  rawData,
  rawHeaders,
} from "bowline/testing";
import type { AttackedClient, HostileScript } from "./attacked-client.ts";
import type { AttackedServer } from "./attacked-server.ts";
import type { CallEnd } from "./caller.ts";
import type { ClientRow, ServerRow } from "./row.ts";

/** Error codes of RFC 9113 section 7, written down again: attackers share nothing with the product. */
export const Http2Code = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** The name of an error code. */
export type Http2CodeName = keyof typeof Http2Code;

/** What the other side must do. */
export type Outcome =
  /** The connection ends by GOAWAY with this code; `names` is what its debug text and the server's counter say. */
  | { readonly ends: Http2CodeName; readonly names?: string }
  /** The stream alone ends, with this code; the connection goes on. `counts` is what the counter says, if not the code. */
  | { readonly resets: Http2CodeName; readonly counts?: string }
  /** The call ends with this gRPC status, told by the server or seen by the client; the connection goes on. `counts`: what is counted. */
  | { readonly status: number; readonly counts?: string }
  /** Nothing happens: the connection and the stream go on. */
  | "ignored";

/** Where a provocation is sent: on a stream that its sender may begin with HEADERS of `fields`. */
export interface Place {
  readonly role: "server" | "client";
  readonly id: number;
  /** A request to a server, a response to a client, both of gRPC. */
  readonly fields: HeaderList;
}

/** One thing that a peer says against the rules, or to waste what others have. */
export interface Provocation {
  readonly what: string;
  readonly frames: (place: Place) => readonly Buffer[];
  readonly outcome: Outcome;
  /** Where client and server differ. */
  readonly atClient?: Outcome;
  /** Who can be provoked so. Default both. */
  readonly role?: "server" | "client";
  /** Sends SETTINGS only, and reads the acknowledgements of some before it goes on: nothing piles up. Default: all at once. */
  readonly isReader?: boolean;
  /** The method that is called, of peer.v1.Echo. Default Unary. */
  readonly method?: string;
}

/** A row that is a list of provocations. */
export interface ProvocationRow {
  readonly row: number;
  readonly title: string;
  readonly required: string;
  readonly provocations: readonly Provocation[];
}

/** EchoRequest of one byte. */
export const ECHO_REQUEST: Buffer = grpcMessage(Buffer.of(0x0a, 1, 7));

/** HEADERS of the call's own fields and `more`, and a body that is the last of the call: in an answer, trailers with OK follow. */
export function withBody(place: Place, bytes: Uint8Array, more: HeaderList = []): Buffer[] {
  const isServer = place.role === "server";
  const frames = [rawHeaders(place.id, [...place.fields, ...more])];
  for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
    const end = isServer && at + FRAME_BYTES >= bytes.length;
    frames.push(rawData(place.id, bytes.subarray(at, at + FRAME_BYTES), { end }));
  }
  if (!isServer) frames.push(rawHeaders(place.id, [["grpc-status", "0"]], { end: true }));
  return frames;
}

const FRAME_BYTES = 16_000;

/** Fields of a call to a method of peer.v1.Echo. */
export function echoFields(method = "Unary", more: HeaderList = []): HeaderList {
  return grpcRequestFields(`/peer.v1.Echo/${method}`, more);
}

/** The tests of a row, in the roles that it has provocations for. */
export function provocationRows(table: ProvocationRow): (ServerRow | ClientRow)[] {
  const { row, title, required, provocations } = table;
  const of = (role: string): Provocation[] => provocations.filter((each) => (each.role ?? role) === role);
  const summary = (list: readonly Provocation[]): string =>
    `${list.length} of ${list.length} provocations answered as required`;
  const atClient = of("client").map(({ outcome, atClient }) => atClient ?? outcome);
  const atServer = of("server").map(({ outcome }) => outcome);
  const both: (ServerRow | ClientRow)[] = [
    {
      row,
      role: "server",
      title,
      required,
      reasons: reasonsOf(atServer),
      attack: async (server) => {
        // All at once: an attacker need not wait for the answer to one before the next.
        await Promise.all(of("server").map((each) => provokeServer(server, each)));
        return summary(of("server"));
      },
    },
    {
      row,
      role: "client",
      title,
      required,
      reasons: reasonsOf(atClient),
      attack: async (client) => {
        for (const each of of("client")) await provokeClient(client, each);
        return summary(of("client"));
      },
    },
  ];
  return both.filter(({ role }) => of(role).length > 0);
}

/** What must be counted and logged: the limit or the error code that ended a stream or a connection, the kind of a bad message. */
function reasonsOf(outcomes: readonly Outcome[]): string[] {
  return [...new Set(outcomes.map(reasonOf).filter((reason) => reason !== undefined))];
}

function reasonOf(outcome: Outcome): string | undefined {
  if (typeof outcome === "string") return undefined;
  if ("ends" in outcome) return outcome.names ?? outcome.ends;
  return "resets" in outcome ? (outcome.counts ?? outcome.resets) : outcome.counts;
}

async function provokeServer(server: AttackedServer, provocation: Provocation): Promise<void> {
  const { outcome, frames, method, what } = provocation;
  // What takes long to make must not look like a peer that falls silent.
  const sent = frames({ role: "server", id: 1, fields: echoFields(method) });
  const peer = await server.open();
  try {
    await provoke(peer, provocation, sent);
    await expectFrame(peer, 1, outcome);
    if (!isEnd(outcome)) await expectHonestCall(peer);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`);
  }
  peer.destroy();
}

const WAVE = 500;

async function provoke(peer: RawPeer, { isReader }: Provocation, frames: readonly Buffer[]): Promise<void> {
  if (isReader !== true) return void peer.send(...frames);
  try {
    for (let at = 0; at < frames.length; at += WAVE) {
      const wave = frames.slice(at, at + WAVE);
      peer.send(...wave);
      for (const _ of wave) await peer.expect("SETTINGS");
    }
  } catch {
    // The connection has ended: what follows looks how.
  }
}

/** The connection still carries calls. */
export async function expectHonestCall(peer: RawPeer, id = 99_999): Promise<void> {
  peer.headers(id, echoFields()).data(id, ECHO_REQUEST, { end: true });
  const trailers = await peer.expect("HEADERS", (frame) => frame.streamId === id && frame.isEnd);
  if (trailers.headers?.["grpc-status"] !== "0")
    throw new Error(`a call beside it ended with ${trailers.headers?.["grpc-status"]}`);
}

async function provokeClient(client: AttackedClient, provocation: Provocation): Promise<void> {
  const { frames, what } = provocation;
  const outcome = provocation.atClient ?? provocation.outcome;
  // A second call shows that the connection goes on, or ends with the connection.
  const script: HostileScript = async (peer, [id, beside]) => {
    await provoke(peer, provocation, frames({ role: "client", id, fields: grpcResponseFields() }));
    if (isStatus(outcome)) await peer.roundTrip();
    else await expectFrame(peer, id, outcome);
    if (isEnd(outcome)) return;
    answer(peer, beside);
    if (outcome === "ignored") answer(peer, id);
  };
  try {
    // As above; the streams of a client's first calls are these.
    frames({ role: "client", id: 1, fields: grpcResponseFields() });
    const ends = await client.call(script, { count: 2 });
    const [wasAttacked, wasBeside] = ends[0].code === 0 ? [ends[1], ends[0]] : ends;
    const fits = isStatus(outcome)
      ? wasAttacked.code === outcome.status
      : isFailure(wasAttacked) === (outcome !== "ignored");
    if (!fits) throw new Error(`the call ended with code ${wasAttacked.code}, ${wasAttacked.text}`);
    if (isFailure(wasBeside) === isEnd(outcome)) return;
    throw new Error(`a call beside it ended with code ${wasBeside.code}, ${wasBeside.text}`);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`);
  }
}

/** The call has failed, and that was told at once: not for want of an answer. */
function isFailure({ code, text }: CallEnd): boolean {
  if (code === DEADLINE_EXCEEDED) throw new Error(`a call ended by its deadline alone: ${text}`);
  return code !== 0;
}

function isStatus(outcome: Outcome): outcome is Extract<Outcome, { status: number }> {
  return typeof outcome === "object" && "status" in outcome;
}

const DEADLINE_EXCEEDED = 4;

/** A good answer to a call of Echo.Unary. */
export function answer(peer: RawPeer, id: number): void {
  peer.headers(id, grpcResponseFields()).data(id, ECHO_REQUEST);
  peer.headers(id, [["grpc-status", "0"]], { end: true });
}

function isEnd(outcome: Outcome): outcome is Extract<Outcome, { ends: string }> {
  return typeof outcome === "object" && "ends" in outcome;
}

async function expectFrame(peer: RawPeer, id: number, outcome: Outcome): Promise<void> {
  if (outcome === "ignored") return peer.roundTrip();
  if ("status" in outcome) {
    const { headers } = await peer.expect("HEADERS", (frame) => frame.streamId === id && frame.isEnd);
    if (headers?.["grpc-status"] !== String(outcome.status)) throw new Error(`grpc-status ${headers?.["grpc-status"]}`);
  } else if ("resets" in outcome) {
    const { errorCode } = await peer.expect("RST_STREAM", (frame) => frame.streamId === id);
    if (errorCode !== Http2Code[outcome.resets])
      throw new Error(`RST_STREAM with code ${errorCode}, not ${outcome.resets}`);
  } else {
    const { errorCode, debug = "" } = await peer.expect("GOAWAY");
    if (errorCode !== Http2Code[outcome.ends])
      throw new Error(`GOAWAY with code ${errorCode} (${debug}), not ${outcome.ends}`);
    if (!debug.includes(outcome.names ?? "")) throw new Error(`GOAWAY says "${debug}", not ${outcome.names}`);
    await peer.closed;
  }
}
