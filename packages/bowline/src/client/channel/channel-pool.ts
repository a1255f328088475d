import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";

/** A channel and how many use it. */
interface Shared {
  readonly channel: Channel;
  users: number;
}

/**
 * Channels by target and settings: a second client of the same target uses the connections of the first, so that making a
 * client for each call is slow but leaks nothing.
 */
const shared: Map<string, Shared> = new Map();

/** What a channel depends on that has no text of its own gets a number. */
const numbers: WeakMap<object, number> = new WeakMap();
let lastNumber = 0;

/** A text for settings that differ: primitive values as they are, everything else by identity. */
export function identityOf(value: unknown): string {
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) return JSON.stringify(value) ?? "";
  let number = numbers.get(value);
  if (number === undefined) numbers.set(value, (number = ++lastNumber));
  return `#${number}`;
}

/** The channel for `key`; made by `options` if there is none. Every call wants a `releaseChannel`. */
export function acquireChannel(key: string, options: () => ChannelOptions): Channel {
  let entry = shared.get(key);
  if (entry === undefined || entry.channel.state === "closed") {
    entry = { channel: new Channel(options()), users: 0 };
    shared.set(key, entry);
  }
  entry.users++;
  return entry.channel;
}

/** A user is done with the channel; the last one closes it, and waits for that. */
export async function releaseChannel(key: string, channel: Channel): Promise<void> {
  const entry = shared.get(key);
  if (entry?.channel === channel) {
    if (--entry.users > 0) return;
    shared.delete(key);
  }
  await channel.close();
}

/** Channels that are open, of all clients of this process. */
export function openChannelCount(): number {
  return [...shared.values()].filter(({ channel }) => channel.state !== "closed").length;
}
