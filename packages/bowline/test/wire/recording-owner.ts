import type { Connection, StreamOwner } from "../../src/http2/connection.ts";
import type { HeaderBlock, HeaderEntry } from "../../src/http2/hpack/decoder.ts";
import { Http2Stream } from "../../src/http2/stream.ts";

/** Names and values of one header block. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** A stream that keeps what arrives on it. */
export class RecordedStream extends Http2Stream {
  /** Its id, also after its end. */
  streamId = 0;
  readonly blocks: Fields[] = [];
  readonly chunks: string[] = [];
  dataBytes = 0;
  /** END_STREAM has arrived. */
  hasEnded = false;
  /** Each `reset`, as `8 by peer` or `8 by us`. */
  readonly resets: string[] = [];
  writables = 0;

  get text(): string {
    return this.chunks.join("");
  }
}

const NO_TOKENS: ReadonlyMap<string, number> = new Map();
/** One function for all, or each connection would keep a static table of its own. */
const derive = (entries: readonly HeaderEntry[]): Fields => entries.map(({ name, value }) => [name, value]);

/** The layer above a connection for tests: keeps what it is told, and answers when told to. */
export class RecordingOwner implements StreamOwner<RecordedStream> {
  readonly tokens: ReadonlyMap<string, number> = NO_TOKENS;
  readonly derive: (entries: readonly HeaderEntry[]) => Fields = derive;
  /** All streams of the connection, in the order in which they were opened. */
  readonly streams: RecordedStream[] = [];
  readonly goaways: { readonly lastStreamId: number; readonly code: number; readonly debug: string }[] = [];
  settingsCount = 0;
  pingCount = 0;
  releasedCount = 0;
  /** The argument of each `closed`. */
  readonly ends: (Error | undefined)[] = [];
  /** Answers a request that has ended. */
  onRequest: (stream: RecordedStream) => void = () => {};
  /** Looks at data before it is counted as read. */
  onData: (stream: RecordedStream, bytes: number) => void = () => {};
  /** Called when all that was queued on a stream has left. */
  onWritable: (stream: RecordedStream) => void = () => {};
  /** What to say of a foreign peer. */
  explanation: string | undefined = undefined;

  createStream(): RecordedStream {
    const stream = new RecordedStream();
    this.streams.push(stream);
    return stream;
  }

  headers(stream: RecordedStream, block: HeaderBlock, end: boolean): void {
    stream.streamId = stream.id;
    const fields: [string, string][] = Array.from({ length: block.count }, (_, i) => [block.name(i), block.value(i)]);
    stream.blocks.push([...((block.derived as Fields | null) ?? []), ...fields]);
    if (end) this.#ended(stream);
  }

  data(stream: RecordedStream, chunk: Buffer, start: number, to: number, end: boolean): void {
    stream.chunks.push(chunk.toString("latin1", start, to));
    stream.dataBytes += to - start;
    this.onData(stream, to - start);
    if (end) this.#ended(stream);
  }

  reset(stream: RecordedStream, code: number, byPeer: boolean): void {
    stream.resets.push(`${code} by ${byPeer ? "peer" : "us"}`);
  }

  writable(stream: RecordedStream): void {
    stream.writables++;
    this.onWritable(stream);
  }

  settings(): void {
    this.settingsCount++;
  }

  released(): void {
    this.releasedCount++;
  }

  goaway(lastStreamId: number, code: number, debug: string): void {
    this.goaways.push({ lastStreamId, code, debug });
  }

  pinged(): void {
    this.pingCount++;
  }

  closed(error: Error | undefined): void {
    this.ends.push(error);
  }

  explain(): string | undefined {
    return this.explanation;
  }

  #ended(stream: RecordedStream): void {
    stream.hasEnded = true;
    this.onRequest(stream);
  }
}

/** Sends a header block with these fields, none of which enters the table. */
export function sendFields(
  connection: Connection<RecordedStream>,
  stream: RecordedStream,
  fields: Fields,
  end: boolean,
): void {
  const block = Buffer.alloc(fields.reduce((sum, [name, value]) => sum + name.length + value.length + 20, 0));
  let to = 0;
  // Mode 2: a literal that is not inserted.
  for (const [name, value] of fields) to = connection.encoder.field(block, to, name, value, 2);
  connection.sendHeaders(stream, block.subarray(0, to), end);
}
