// Calls peer.v1.Echo in every way over several channels, checks each octet of the answers, and writes down each call. Told what to do on stdin.
import { createInterface } from "node:readline";
import { createClient } from "bowline";
import { Chance } from "../../codec/chance.ts";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { announce, printLine } from "../../peers/peer-lines.ts";
import { wallMs } from "../ledger/call-log.ts";
import { processOptions } from "../processes/options.ts";
import { CallBook } from "./call-book.ts";
import { checkedCall, type EchoStub, unary } from "./checked-calls.ts";
import type { CheckedClientOptions, CheckedLoad, ClientOrder, WatchEnd } from "./checked-client.ts";
import { resourcesNow } from "./resources.ts";

const { client: number, seed, target, channels, options } = processOptions<Required<CheckedClientOptions>>();
const TICK_MS = 10;
/** Calls that are made up for after a pause of the whole machine. */
const MAX_BEHIND_MS = 250;

const chance = new Chance(seed);
const book = new CallBook(number);
let stubs: EchoStub[] = [];
let ticking: NodeJS.Timeout | undefined;
let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);

/** Clients of one target share a channel unless their settings differ. */
function open(): void {
  const connectTimeoutMs = options.connectTimeoutMs ?? 5000;
  stubs = Array.from({ length: channels }, (_, index) =>
    createClient(Echo, target, { ...options, connectTimeoutMs: connectTimeoutMs + index }),
  );
}

function call({ timeoutMs, maxBytes = 1000, isUnaryOnly = false }: CheckedLoad): void {
  const stub = stubs[book.log.count % stubs.length];
  const own = new Chance(chance.seed());
  void book.enter("write", timeoutMs, (how) =>
    isUnaryOnly ? unary(stub, own.bytes(own.int(0, maxBytes)), how) : checkedCall(stub, own, maxBytes, how),
  );
}

function load(wanted: CheckedLoad): void {
  clearInterval(ticking);
  let last = wallMs();
  let owed = 0;
  ticking = setInterval(() => {
    const now = wallMs();
    owed += (Math.min(MAX_BEHIND_MS, now - last) * wanted.perSecond) / 1000;
    last = now;
    for (; owed >= 1; owed--) call(wanted);
    if (wanted.reconnects) for (const { channel } of stubs) channel.connect(AbortSignal.timeout(1)).catch(() => {});
  }, TICK_MS);
}

/** A stream without deadline on each channel, which goes on until something ends it. */
async function watch(intervalMs: number): Promise<void> {
  const ends: WatchEnd[] = await Promise.all(
    stubs.map(async (stub) => {
      let heardAtMs = wallMs();
      const code = await book.enter("watch", 0, async (how) => {
        const answers = stub.serverStream({ count: 0xffffffff, intervalMs, payloadBytes: 10 }, how);
        for await (const _ of answers) heardAtMs = wallMs();
      });
      const endedAtMs = wallMs();
      return { code, silentMs: endedAtMs - heardAtMs - book.watch.stalledMs(heardAtMs, endedAtMs) };
    }),
  );
  printLine({ watched: ends });
}

/** So many bytes by a stream of answers, as fast as they come. */
async function download(bytes: number, messageBytes: number): Promise<void> {
  const startedAtMs = wallMs();
  let received = 0;
  const code = await book.enter("watch", 0, async (how) => {
    const count = Math.ceil(bytes / messageBytes);
    for await (const { payload } of stubs[0].serverStream({ count, payloadBytes: messageBytes }, how)) {
      received += payload.length;
    }
  });
  printLine({ downloaded: { code, bytes: received, ms: wallMs() - startedAtMs } });
}

/** Round trips of small calls, one behind the other. */
async function roundTrips(count: number): Promise<void> {
  const times: number[] = [];
  for (let trip = 0; trip < count; trip++) {
    const startedAtMs = wallMs();
    await book.enter("write", 0, (how) => unary(stubs[trip % stubs.length], new Uint8Array(8).fill(trip), how));
    times.push(wallMs() - startedAtMs);
  }
  printLine({ roundTrips: times.sort((a, b) => a - b) });
}

/** No more calls: waits for those that are open and saves the log. */
async function finish(path: string, withinMs: number): Promise<void> {
  clearInterval(ticking);
  await book.idle(withinMs);
  book.log.save(path);
  const { lateness, open: hung, wrong } = book;
  printLine({
    finished: {
      calls: book.log.count,
      hung,
      wrong: wrong.slice(0, 3),
      wrongCount: wrong.length,
      unhandled,
      ...lateness,
    },
  });
}

async function close(): Promise<void> {
  clearInterval(ticking);
  await Promise.all(stubs.map((stub) => stub[Symbol.asyncDispose]()));
  stubs = [];
  printLine({ closed: true });
}

function states(): void {
  const endpoints = stubs.flatMap(({ channel }) =>
    channel.endpoints.map(({ address, connectionState }) => ({ address, connectionState })),
  );
  printLine({ endpoints });
}

createInterface({ input: process.stdin }).on("line", (text) => {
  const order = JSON.parse(text) as ClientOrder;
  if (order.open) open();
  if (order.load !== undefined) load(order.load);
  if (order.watch !== undefined) void watch(order.watch);
  if (order.download !== undefined) void download(order.download.bytes, order.download.messageBytes);
  if (order.roundTrips !== undefined) void roundTrips(order.roundTrips);
  if (order.finish !== undefined) void finish(order.finish.path, order.finish.withinMs);
  if (order.endpoints) states();
  if (order.close) void close();
  if (order.stalled !== undefined)
    printLine({ stalledMs: book.watch.stalledMs(order.stalled.fromMs, order.stalled.toMs) });
  if (order.resources) printLine({ resources: resourcesNow() });
});
announce({});
