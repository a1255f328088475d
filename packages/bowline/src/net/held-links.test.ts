import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certPair } from "../../test/certs.ts";
import { NetBench, PREFACE } from "../../test/net-bench.ts";
import type { Link } from "../http2/link.ts";
import type { Listener } from "./listener.ts";

const SENT_BYTES = 48 * 1024 * 1024;
/** More than the kernel's buffers at both ends take, and the read that was under way. */
const MANY_BYTES = 24 * 1024 * 1024;

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

/** A client of a port that hands over its links; it has sent all at once. */
async function sending(kind: string, onHttp2: (link: Link) => void): Promise<Socket> {
  const tls = kind === "TLS" ? bench.tls("server", certPair("server")) : undefined;
  const listener = await bench.listen(kind === "Unix" ? `unix:${bench.path("s")}` : "127.0.0.1:0", { tls, onHttp2 });
  const client = clientOf(kind, listener);
  client.write(PREFACE);
  for (let sent = 0; sent < SENT_BYTES; sent += 65_536) client.write(Buffer.alloc(65_536));
  return client;
}

function clientOf(kind: string, listener: Listener): Socket {
  if (kind === "TLS") return bench.tlsClient(listener);
  return kind === "TCP" ? bench.client(listener) : bench.keep(connect({ path: bench.path("s") }));
}

/** How many octets have left when none has for 100 ms. */
async function leftWhenStill(socket: Socket): Promise<number> {
  for (let before = -1; ; ) {
    const left = PREFACE.length + SENT_BYTES - socket.writableLength;
    if (left === before) return left;
    before = left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe.each(["TCP", "Unix", "TLS"])("a link over %s reads little of what is sent", (kind) => {
  it("while nobody has started it, and all of it then", async () => {
    const links: Link[] = [];
    const client = await sending(kind, (link) => links.push(link));
    await until(() => links.length === 1);
    expect(await leftWhenStill(client)).toBeLessThan(MANY_BYTES);
    const counted = counting(links[0]);
    bench.record(counted);
    await until(() => counted.bytes === PREFACE.length + SENT_BYTES);
  });

  it("when it was paused while it told of the first bytes", async () => {
    const links: CountingLink[] = [];
    const client = await sending(kind, (link) => {
      const counted = counting(link, () => link.pause());
      links.push(counted);
      bench.record(counted);
    });
    await until(() => links.length === 1);
    expect(await leftWhenStill(client)).toBeLessThan(MANY_BYTES);
    const [link] = links;
    expect(link.bytes).toBeLessThan(MANY_BYTES);
    link.resume();
    await until(() => link.bytes === PREFACE.length + SENT_BYTES);
  });
});

interface CountingLink extends Link {
  readonly bytes: number;
}

/** The link, with a handler that is told nothing of what came: that is counted. */
function counting(link: Link, onFirst?: () => void): CountingLink {
  let bytes = 0;
  const linkData = (chunk: Buffer): void => {
    if (bytes === 0) onFirst?.();
    bytes += chunk.length;
  };
  const start: Link["start"] = (handler) =>
    link.start({
      linkData,
      linkDrain: () => handler.linkDrain(),
      linkEnd: () => handler.linkEnd(),
      linkClosed: (error) => handler.linkClosed(error),
    });
  const counted: Partial<CountingLink> = {
    start,
    resume: () => link.resume(),
    destroy: (error?: Error) => link.destroy(error),
    get bytes() {
      return bytes;
    },
  };
  return counted as CountingLink;
}
