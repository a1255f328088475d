// A client for h2specd: opens one connection to the server whose URL comes last, sends one request, and stays until the server
// leaves. It stands on the HTTP/2 layer alone: a channel would connect again, and h2specd counts each connection as a run of its case.
import { parseArgs } from "node:util";
import { Connection, type StreamOwner } from "../../packages/bowline/src/http2/connection.ts";
import { FieldMode } from "../../packages/bowline/src/http2/hpack/encoder.ts";
import { http2Limits } from "../../packages/bowline/src/http2/limits.ts";
import type { Link } from "../../packages/bowline/src/http2/link.ts";
import { Http2Stream } from "../../packages/bowline/src/http2/stream.ts";
import { dial } from "../../packages/bowline/src/net/dial.ts";
import { openTlsFiles } from "../../packages/bowline/src/net/tls/tls-files.ts";
import { systemClock } from "../../packages/bowline/src/rpc/clock.ts";

/**
 * Age of the process, in ms, at which it gives up. h2specd ends its whole run when a case takes 3 s; and a client that left before the
 * case's own patience (1 s here) is over would pass for one that closed the connection because of an error.
 */
const MAX_AGE_MS = 2500;

/** Sends the request when the server's SETTINGS are there, and ignores all answers. */
class OneRequest implements StreamOwner<Http2Stream> {
  readonly tokens: ReadonlyMap<string, number> = new Map();
  readonly derive = (): unknown => undefined;
  readonly #connection: Connection<Http2Stream>;
  readonly #authority: string;
  readonly #isTls: boolean;
  #isSent = false;

  constructor(link: Link, authority: string, isTls: boolean) {
    this.#authority = authority;
    this.#isTls = isTls;
    this.#connection = new Connection(link, this, { isServer: false, clock: systemClock, limits: http2Limits() });
    this.#connection.start();
  }

  settings(): void {
    if (this.#isSent || !this.#connection.canOpen) return;
    this.#isSent = true;
    const fields = [
      [":method", "GET"],
      [":scheme", this.#isTls ? "https" : "http"],
      [":path", "/"],
      [":authority", this.#authority],
    ] as const;
    const { encoder } = this.#connection;
    const block = Buffer.alloc(512);
    let at = 0;
    for (const [name, value] of fields) at = encoder.field(block, at, name, value, FieldMode.PLAIN);
    const stream = new Http2Stream();
    this.#connection.open(stream);
    this.#connection.sendHeaders(stream, block.subarray(0, at), true);
  }

  goaway(): void {
    this.#connection.close();
  }

  closed(error: Error | undefined): void {
    leave(error === undefined ? "closed" : `closed: ${error.message}`);
  }

  createStream(): Http2Stream {
    throw new Error("pushes are off");
  }

  headers(): void {}
  data(): void {}
  reset(): void {}
  writable(): void {}
  released(): void {}
  pinged(): void {}
  explain(): undefined {}
}

/** What was written last leaves with the turn of the event loop. */
function leave(why: string): void {
  process.stdout.write(`${why}\n`);
  setTimeout(() => process.exit(0), 10);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { ca: { type: "string" }, "server-name": { type: "string" } },
});
const { host } = new URL(positionals[0]);
const isTls = values.ca !== undefined;
const tls = isTls ? openTlsFiles("client", { authorities: values.ca }, { clock: systemClock }) : undefined;
setTimeout(() => leave("gave up"), Math.max(0, MAX_AGE_MS - performance.now()));
new OneRequest(await dial(host, { clock: systemClock, tls, serverName: values["server-name"] }), host, isTls);
