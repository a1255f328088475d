import { once } from "node:events";
import { connect } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  grpcMessage,
  grpcRequestFields,
  PREFACE,
  RawFlag,
  rawData,
  rawFrame,
  rawHeaders,
  rawSettings,
} from "bowline/testing";
import { DoneSchema, WorkSchema } from "../../gen/chaos/v1/chaos_pb.ts";
import { type ArrivedFrame, FrameType, RawConnection } from "./raw-connection.ts";
import { type SettingPairs, SettingsJudge } from "./settings-judge.ts";

interface OpenCall {
  readonly chunks: Buffer[];
  readonly end: (fault: string | null) => void;
}

/** Window is given back when there is so much of it. */
const LEAST_UPDATE_BYTES = 1024;

/** A client of chaos.v1.Chaos frame by frame, whose stream ids begin where it is told and whose SETTINGS change at any time. */
export class RawClient {
  readonly judge: SettingsJudge = new SettingsJudge();
  readonly #open = new Map<number, OpenCall>();
  #connection: RawConnection | null = null;
  #nextId: number;
  /** Why the server has ended the connection; empty while it has not. */
  farewell = "";
  /** Window of the connection that was used and not given back. */
  #owedBytes = 0;

  private constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** Connects to host:port. */
  static async open(address: string, firstId: number, settings: SettingPairs): Promise<RawClient> {
    const client = new RawClient(firstId);
    const colon = address.lastIndexOf(":");
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    await once(socket, "connect");
    const failed = (error: Error): void => void client.judge.faults.push(error.message);
    client.#connection = new RawConnection(socket, "client", (frame) => client.#read(frame), failed);
    socket.on("close", () => client.#closed());
    client.#connection.send(PREFACE);
    client.change(settings);
    return client;
  }

  /** Sends other SETTINGS. */
  change(settings: SettingPairs): void {
    this.judge.sent(settings);
    this.#connection?.send(rawSettings(settings));
  }

  /** True as long as there is an id for one more call. */
  get hasIds(): boolean {
    return this.#nextId <= 0x7fffffff;
  }

  /** A call of Read; resolves with what was wrong with its end, or null. */
  read(client: number, sequence: number, payloadBytes: number): Promise<string | null> {
    const streamId = this.#nextId;
    this.#nextId += 2;
    const work = toBinary(WorkSchema, create(WorkSchema, { client, sequence, payloadBytes }));
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#open.set(streamId, { chunks: [], end: resolve });
    this.#connection?.send(
      rawHeaders(streamId, grpcRequestFields("/chaos.v1.Chaos/Read")),
      rawData(streamId, grpcMessage(work), { end: true }),
    );
    return promise.then((fault) => (fault === null ? null : `stream ${streamId}: ${fault}`));
  }

  /** Drops the connection. */
  close(): void {
    this.#connection?.destroy();
  }

  #read(frame: ArrivedFrame): void {
    this.judge.arrived(frame);
    const { type, flags, streamId, payload, headers } = frame;
    if (type === FrameType.GOAWAY) this.farewell = payload.toString("utf8", 8) || `code ${payload.readUInt32BE(4)}`;
    const call = this.#open.get(streamId);
    if (call === undefined) return;
    if (type === FrameType.DATA && payload.length > 0) {
      call.chunks.push(payload);
      this.#giveWindow(payload.length);
    } else if (type === FrameType.RST_STREAM) this.#end(streamId, `reset with ${payload.readUInt32BE(0)}`);
    if ((flags & RawFlag.END_STREAM) === 0 || type !== FrameType.HEADERS) return;
    if (headers?.["grpc-status"] !== "0") return this.#end(streamId, `status ${headers?.["grpc-status"]}`);
    const { payload: answer } = fromBinary(DoneSchema, Buffer.concat(call.chunks).subarray(5));
    this.#end(streamId, answer.every((byte) => byte === 0) ? null : "the answer has other bytes than were asked for");
  }

  /** Not for each of the crumbs that small windows make of an answer: a server takes that for an attack. */
  #giveWindow(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#owedBytes < LEAST_UPDATE_BYTES) return;
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(this.#owedBytes);
    this.#owedBytes = 0;
    this.#connection?.send(rawFrame("WINDOW_UPDATE", 0, 0, increment));
  }

  #end(streamId: number, fault: string | null): void {
    this.#open.get(streamId)?.end(fault);
    this.#open.delete(streamId);
    this.judge.closed(streamId);
  }

  #closed(): void {
    for (const streamId of [...this.#open.keys()]) this.#end(streamId, `the connection was closed (${this.farewell})`);
  }
}
