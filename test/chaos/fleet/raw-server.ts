import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  encodeLiterals,
  grpcMessage,
  grpcResponseFields,
  RawFlag,
  rawData,
  rawFrame,
  rawHeaders,
  rawSettings,
} from "bowline/testing";
import { DoneSchema, WorkSchema } from "../../gen/chaos/v1/chaos_pb.ts";
import { wallMs } from "../ledger/call-log.ts";
import type { RunEvent } from "../ledger/run-log.ts";
import { type ArrivedFrame, FrameType, RawConnection } from "./raw-connection.ts";

/** A call that has come to a scripted server. */
export interface RawCall {
  readonly streamId: number;
  readonly client: number;
  readonly sequence: number;
}

/** What a scripted server does on one connection. Calls that it neither answers nor refuses stay open. */
export interface RawScript {
  /** The headers of a call have come. */
  called?(connection: RawConnection, call: RawCall): void;
  /** Its request is complete. */
  requested?(connection: RawConnection, call: RawCall, payloadBytes: number): void;
  /** Every frame, before the others hear of it. */
  arrived?(connection: RawConnection, frame: ArrivedFrame): void;
  /** SETTINGS that it begins with, pairs of id and value. */
  readonly settings?: readonly (readonly [id: number, value: number])[];
}

/** The end of every answer, as it is on the wire. */
const TRAILERS = encodeLiterals([["grpc-status", "0"]]);
const HEADERS = encodeLiterals(grpcResponseFields());

/** chaos.v1.Chaos played frame by frame: it refuses, goes away and changes its mind as a script says, and writes down what it has served. */
export class RawServer implements AsyncDisposable {
  readonly address: string;
  readonly connections: RawConnection[] = [];
  /** What it has answered: its handlers, so to speak. */
  readonly runs: RunEvent[] = [];
  /** What was wrong with what came. */
  readonly faults: string[] = [];
  readonly #server: Server;
  readonly #scriptOf: (connection: number) => RawScript;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, scriptOf: (connection: number) => RawScript) {
    this.#server = server;
    this.#scriptOf = scriptOf;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** Listens; `scriptOf` gives the script for the connection of that number, from 0. */
  static async start(scriptOf: (connection: number) => RawScript): Promise<RawServer> {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new RawServer(server, scriptOf);
  }

  /** Answers a unary call: its handler has run. */
  answer(connection: RawConnection, { streamId, client, sequence }: RawCall, payloadBytes: number = 0): void {
    this.runs.push({ client, sequence, phase: "began", atMs: wallMs() });
    const payload = new Uint8Array(payloadBytes);
    const done = toBinary(DoneSchema, create(DoneSchema, { client, sequence, serverId: "raw", payload }));
    connection.send(
      rawHeaders(streamId, HEADERS),
      rawData(streamId, grpcMessage(done)),
      rawHeaders(streamId, TRAILERS, { end: true }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const script = this.#scriptOf(this.connections.length);
    const open = new Map<number, { readonly call: RawCall; readonly chunks: Buffer[] }>();
    const connection = new RawConnection(
      socket,
      "server",
      (frame) => {
        script.arrived?.(connection, frame);
        this.#read(connection, script, open, frame);
      },
      (error) => this.faults.push(error.message),
    );
    socket.on("end", () => socket.end());
    this.connections.push(connection);
    connection.send(rawSettings(script.settings));
  }

  #read(
    connection: RawConnection,
    script: RawScript,
    open: Map<number, { readonly call: RawCall; readonly chunks: Buffer[] }>,
    { type, flags, streamId, payload, headers }: ArrivedFrame,
  ): void {
    if (type === FrameType.HEADERS && headers !== undefined) {
      const [client = 0, sequence = 0] = (headers["chaos-call"] ?? "").split("/").map(Number);
      const call: RawCall = { streamId, client, sequence };
      open.set(streamId, { call, chunks: [] });
      script.called?.(connection, call);
    } else if (type === FrameType.DATA) {
      const known = open.get(streamId);
      if (known === undefined) return;
      known.chunks.push(payload);
      // What has come may go on coming: streams here are never larger than their windows.
      if (payload.length > 0) connection.send(rawFrame("WINDOW_UPDATE", 0, 0, uint32(payload.length)));
      if ((flags & RawFlag.END_STREAM) === 0) return;
      open.delete(streamId);
      const work = fromBinary(WorkSchema, Buffer.concat(known.chunks).subarray(5));
      if (work.client !== known.call.client || work.sequence !== known.call.sequence) {
        this.faults.push(`stream ${streamId} has headers of one call and the message of another`);
      }
      script.requested?.(connection, known.call, work.payloadBytes);
    } else if (type === FrameType.RST_STREAM) open.delete(streamId);
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
