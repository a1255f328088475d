import type { FrameSink } from "../../../packages/bowline/src/http2/frame-reader.ts";
import { told } from "./frame-judge.ts";

/** Writes down what a reader of frames tells, in the words of `judgeFrames`; DATA that come in pieces are one entry. */
export class TellingSink implements FrameSink {
  readonly heard: string[] = [];
  error: number | undefined;

  dataFrame(streamId: number, _flags: number, _length: number, chunk: Buffer, start: number, end: number): boolean {
    return this.#tell("DATA", streamId, chunk.toString("hex", start, end));
  }

  dataContinues(chunk: Buffer, start: number, end: number): boolean {
    this.heard[this.heard.length - 1] += chunk.toString("hex", start, end);
    return true;
  }

  headersFrame(streamId: number, _flags: number, chunk: Buffer, start: number, end: number): boolean {
    return this.#tell("HEADERS", streamId, chunk.toString("hex", start, end));
  }

  continuationFrame(streamId: number, _flags: number, chunk: Buffer, start: number, end: number): boolean {
    return this.#tell("CONTINUATION", streamId, chunk.toString("hex", start, end));
  }

  priorityFrame(streamId: number, dependsOn: number): boolean {
    return this.#tell("PRIORITY", streamId, dependsOn);
  }

  resetFrame(streamId: number, code: number): boolean {
    return this.#tell("RST_STREAM", streamId, code);
  }

  settingsFrame(isAck: boolean, chunk: Buffer, start: number, end: number): boolean {
    return this.#tell("SETTINGS", 0, isAck, chunk.toString("hex", start, end));
  }

  pingFrame(isAck: boolean, chunk: Buffer, start: number): boolean {
    return this.#tell("PING", 0, isAck, chunk.toString("hex", start, start + 8));
  }

  goawayFrame(lastStreamId: number, code: number, chunk: Buffer, debugStart: number, debugEnd: number): boolean {
    return this.#tell("GOAWAY", 0, lastStreamId, code, chunk.toString("hex", debugStart, debugEnd));
  }

  windowUpdateFrame(streamId: number, increment: number): boolean {
    return this.#tell("WINDOW_UPDATE", streamId, increment);
  }

  unknownFrame(type: number): boolean {
    return this.#tell("UNKNOWN", 0, type);
  }

  connectionError(code: number): void {
    if (this.error !== undefined) throw new Error("a second connection error");
    this.error = code;
  }

  notHttp2(): void {
    this.connectionError(-1);
  }

  #tell(name: string, streamId: number, ...facts: readonly unknown[]): boolean {
    if (this.error !== undefined) throw new Error(`${name} after the connection's end`);
    this.heard.push(told(name, streamId, ...facts));
    return true;
  }
}
