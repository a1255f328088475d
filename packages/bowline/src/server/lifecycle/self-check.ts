import type { Link } from "../../http2/link.ts";
import type { Network } from "../../net/network.ts";
import type { Address, Instance } from "../../registry/registry.ts";
import type { Clock } from "../../rpc/clock.ts";
import { type Interfaces, isLoopback, isPrivate, ownAddresses } from "./interfaces.ts";

/** What a server looks at itself with. */
export interface SelfCheckWorld {
  readonly clock: Clock;
  /** From outside of the listener: a connection as a client makes it. */
  readonly dial: Network["dial"];
  readonly isTls: boolean;
  readonly interfaces: Interfaces;
  /** The local address of the connection to the registry; null if that is not known. */
  readonly reachedFrom: string | null;
  /** The other instances of the service; null if they are not known. */
  readonly others: readonly Instance[] | null;
  readonly signal: AbortSignal;
}

/** For the connection and the first answer together. */
const ANSWER_MS = 5000;
/** RFC 9113 §3.4: the preface of a client, with an empty SETTINGS frame behind it. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
/** Length, type, flags and stream of a frame (RFC 9113 §4.1). */
const FRAME_HEADER_BYTES = 9;
const SETTINGS_TYPE = 4;
const SETTING = "set advertise (or BOWLINE_ADVERTISE) to an address by which clients reach this server";
/** A box that translates addresses for what comes from outside only is right to leave the server itself without an answer. */
const IF_OTHERS_REACH_IT =
  "if clients reach it all the same, by a router that does not lead back in, set selfCheck: false";

/**
 * What is wrong with the addresses that a server advertises, seen from the server itself: the end of a sentence with the setting that mends
 * it; null if nothing is.
 *
 * An address with a network of its own is dialled only if it is this machine's: the others may be reachable from that network alone.
 */
export async function selfCheck(addresses: readonly Address[], world: SelfCheckWorld): Promise<string | null> {
  const misplaced = misplacement(addresses, world);
  if (misplaced !== null) return `${misplaced}; ${SETTING}`;
  const own = new Set(ownAddresses(world.interfaces).map(({ host }) => host));
  const isDialled = ({ address, network }: Address): boolean => network === "" || own.has(hostOf(address));
  for (const { address } of addresses.filter(isDialled)) {
    const problem = await unreachable(address, world);
    if (problem === null) continue;
    const remedy = own.has(hostOf(address)) ? SETTING : `${IF_OTHERS_REACH_IT}, else ${SETTING}`;
    return `${address} can't be reached from this machine itself: ${problem}; ${remedy}`;
  }
  return null;
}

/** Addresses that mean nothing where others are. */
function misplacement(addresses: readonly Address[], { reachedFrom, others }: SelfCheckWorld): string | null {
  const hosts = addresses.map(({ address }) => hostOf(address));
  if (reachedFrom !== null && !isLoopback(reachedFrom) && hosts.every(isLoopback)) {
    return `${addresses[0].address} is loopback, but the registry is on another machine, which this one reaches from ${reachedFrom}`;
  }
  if (!hosts.every(isPrivate) || addresses.some(({ network }) => network !== "")) return null;
  const isPublic = ({ address }: Address): boolean => isPublicAddress(hostOf(address));
  const other = others?.flatMap((instance) => instance.addresses).find(isPublic);
  if (other === undefined) return null;
  return `${addresses[0].address} is a private address, while other instances have public ones such as ${other.address}`;
}

/** Connects, and expects the first frame that each HTTP/2 server sends. With TLS a connection has to do: the certificate is the clients'. */
async function unreachable(address: string, world: SelfCheckWorld): Promise<string | null> {
  const { clock, dial, signal, isTls } = world;
  let link: Link;
  try {
    link = await dial(address, { clock, connectTimeoutMs: ANSWER_MS, signal });
  } catch (error) {
    return (error as Error).message;
  }
  if (isTls || signal.aborted) {
    link.destroy();
    return null;
  }
  return firstFrame(link, world);
}

function firstFrame(link: Link, { clock, signal }: SelfCheckWorld): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let received = Buffer.alloc(0);
  const timer = clock.setTimeout(
    () => resolve(`no answer within ${ANSWER_MS} ms to a connection that was made`),
    ANSWER_MS,
  );
  const stop = (): void => resolve(null);
  signal.addEventListener("abort", stop, { once: true });
  link.start({
    linkData(chunk) {
      received = Buffer.concat([received, chunk]).subarray(0, FRAME_HEADER_BYTES);
      if (received.length < FRAME_HEADER_BYTES) return;
      resolve(received[3] === SETTINGS_TYPE ? null : "what answers there does not speak HTTP/2");
    },
    linkDrain() {},
    linkEnd: () => resolve("what answers there closes the connection at once"),
    linkClosed: (error) => resolve(error?.message ?? "what answers there closes the connection at once"),
  });
  link.write(PREFACE);
  return promise.finally(() => {
    timer.cancel();
    signal.removeEventListener("abort", stop);
    link.end();
  });
}

function isPublicAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host) && !isPrivate(host);
}

/** Without port and brackets. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
