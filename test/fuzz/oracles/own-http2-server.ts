import { Connection, type StreamOwner } from "../../../packages/bowline/src/http2/connection.ts";
import type { HeaderBlock, HeaderEntry } from "../../../packages/bowline/src/http2/hpack/decoder.ts";
import { http2Limits } from "../../../packages/bowline/src/http2/limits.ts";
import { Http2Stream } from "../../../packages/bowline/src/http2/stream.ts";
import { memoryLinkPair } from "../../../packages/bowline/src/testing/memory-link.ts";
import type { SimulationClock } from "../../simulation/engine/simulation-clock.ts";
import { fault } from "../engine/fuzz-target.ts";
import { Http2Answers, type Http2Reading, type ReadStream } from "./http2-answers.ts";

const MANY = 1_000_000;
/** Bounds against floods are judged elsewhere. */
const LIMITS = http2Limits({
  maxConcurrentStreams: 10_000,
  maxHeaderFields: 10_000,
  maxHeaderListBytes: 65_535,
  maxHeaderBlockBytes: 65_535,
  maxContinuationFrames: 1000,
  maxSettingsEntries: 1000,
  resetBurst: MANY,
  glitchBurst: MANY,
});

type Fields = ReadStream["fields"];

class KeptStream extends Http2Stream {
  /** Null before the first header block. */
  read: ReadStream | null = null;
}

/** The layer above a connection: keeps what it is told, and answers nothing. */
class Keeper implements StreamOwner<KeptStream> {
  readonly tokens: ReadonlyMap<string, number> = new Map();
  readonly derive = deriveFields;
  readonly streams: Map<number, ReadStream> = new Map();

  createStream(): KeptStream {
    return new KeptStream();
  }

  headers(stream: KeptStream, block: HeaderBlock): void {
    if (stream.read !== null) return;
    const rest = Array.from({ length: block.count }, (_, i) => [block.name(i), block.value(i)] as const);
    stream.read = { fields: [...((block.derived as Fields | null) ?? []), ...rest], data: "" };
    this.streams.set(stream.id, stream.read);
  }

  data({ read }: KeptStream, chunk: Buffer, start: number, to: number): void {
    if (read !== null) read.data += chunk.toString("latin1", start, to);
  }

  explain(): undefined {}
  reset(): void {}
  writable(): void {}
  settings(): void {}
  released(): void {}
  goaway(): void {}
  pinged(): void {}
  closed(): void {}
}

/** One function for all connections, as `StreamOwner` asks for. */
function deriveFields(entries: readonly HeaderEntry[]): Fields {
  return entries.map(({ name, value }) => [name, value]);
}

/** Our connection as a server, without anything above it, reads octets that end with the PING of `ping`. */
export async function readByOwn(
  bytes: Buffer,
  ping: Buffer,
  clock: SimulationClock,
  settle: () => Promise<void>,
): Promise<Http2Reading> {
  const [near, far] = memoryLinkPair();
  const keeper = new Keeper();
  new Connection(near, keeper, { isServer: true, clock, limits: LIMITS }).start();
  const answers = new Http2Answers(ping);
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  far.start({ linkData: (chunk) => answers.push(chunk), linkDrain: () => {}, linkEnd: over, linkClosed: over });
  far.write(bytes);
  await settle();
  const { errorCode, resets } = answers;
  const isAlive = !isOver && errorCode === null;
  if (isAlive && !answers.isAnswered) fault("the connection lives on, but has not answered the PING behind the input");
  near.reset();
  await settle();
  return { isAlive, errorCode, streams: keeper.streams, resets };
}
