import type { FrameSink } from "../../src/http2/frame-reader.ts";
import { errorCodeName } from "../../src/http2/frames.ts";

/** Writes down what a frame reader calls, a line for each frame: the pieces of a DATA frame become one. */
export class RecordingSink implements FrameSink {
  readonly calls: string[] = [];
  /** The pieces of DATA as they came, as text. */
  readonly pieces: string[] = [];
  /** Frames after which the next call answers `false`. */
  stopsAfter: number = Number.POSITIVE_INFINITY;
  /** True once the connection would be closed. */
  isOver = false;
  #open = "";

  dataFrame(
    streamId: number,
    flags: number,
    length: number,
    chunk: Buffer,
    start: number,
    end: number,
    isWhole: boolean,
  ): boolean {
    this.#checkRange(chunk, start, end);
    this.pieces.push(chunk.toString("latin1", start, end));
    this.#open = `data ${streamId} flags ${flags} length ${length} ${hex(chunk, start, end)}`;
    return isWhole ? this.#called(this.#open) : true;
  }

  dataContinues(chunk: Buffer, start: number, end: number, isLast: boolean): boolean {
    this.#checkRange(chunk, start, end);
    this.pieces.push(chunk.toString("latin1", start, end));
    this.#open += hex(chunk, start, end);
    return isLast ? this.#called(this.#open) : true;
  }

  headersFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number, dependsOn: number): boolean {
    this.#checkRange(chunk, start, end);
    return this.#called(`headers ${streamId} flags ${flags} depends ${dependsOn} ${hex(chunk, start, end)}`);
  }

  continuationFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number): boolean {
    this.#checkRange(chunk, start, end);
    return this.#called(`continuation ${streamId} flags ${flags} ${hex(chunk, start, end)}`);
  }

  priorityFrame(streamId: number, dependsOn: number): boolean {
    return this.#called(`priority ${streamId} depends ${dependsOn}`);
  }

  resetFrame(streamId: number, code: number): boolean {
    return this.#called(`reset ${streamId} code ${code}`);
  }

  settingsFrame(isAck: boolean, chunk: Buffer, start: number, end: number): boolean {
    this.#checkRange(chunk, start, end);
    return this.#called(isAck ? "settings acknowledged" : `settings ${hex(chunk, start, end)}`);
  }

  pingFrame(isAck: boolean, chunk: Buffer, start: number): boolean {
    return this.#called(`${isAck ? "pong" : "ping"} ${hex(chunk, start, start + 8)}`);
  }

  goawayFrame(lastStreamId: number, code: number, chunk: Buffer, debugStart: number, debugEnd: number): boolean {
    this.#checkRange(chunk, debugStart, debugEnd);
    return this.#called(`goaway ${lastStreamId} code ${code} ${chunk.toString("latin1", debugStart, debugEnd)}`);
  }

  windowUpdateFrame(streamId: number, increment: number): boolean {
    return this.#called(`window ${streamId} by ${increment}`);
  }

  unknownFrame(type: number): boolean {
    return this.#called(`unknown ${type}`);
  }

  connectionError(code: number, text: string): void {
    this.isOver = true;
    this.calls.push(`error ${errorCodeName(code)}: ${text}`);
  }

  notHttp2(firstBytes: Buffer): void {
    this.isOver = true;
    this.calls.push(`not HTTP/2: ${firstBytes.toString("latin1")}`);
  }

  #called(line: string): boolean {
    if (this.isOver) throw new Error(`the reader went on after an error: ${line}`);
    this.calls.push(line);
    return --this.stopsAfter > 0;
  }

  #checkRange(chunk: Buffer, start: number, end: number): void {
    if (start < 0 || start > end || end > chunk.length) throw new Error(`[${start}, ${end}) of ${chunk.length} octets`);
  }
}

function hex(chunk: Buffer, start: number, end: number): string {
  return chunk.toString("hex", start, end);
}
