import type { NetworkFaults } from "bowline/testing";
import type { Dice } from "../engine/dice.ts";

/** What befalls a connection when so many octets have arrived at one of its ends. */
export type LinkEvent =
  | "reset"
  | "freeze"
  | "freeze-for-good"
  | "lose-client"
  | "lose-server"
  /** GOAWAY behind the streams that the server knows; what comes later is never delivered. */
  | "goaway"
  /** RST_STREAM for the stream whose frame has just passed. */
  | "reset-stream";

/** How octets are cut. */
export type Chunking = "whole" | "single" | "random";

/** The faults of one connection, drawn before it is made. */
export interface LinkPlan {
  readonly faults: NetworkFaults;
  readonly chunking: Chunking;
  /** The end that counts, and what happens at which octet. */
  readonly events: readonly { readonly at: "client" | "server"; readonly octet: number; readonly event: LinkEvent }[];
  /** How long a `freeze` lasts, in ms. */
  readonly thawMs: number;
}

const EVENTS: readonly LinkEvent[] = [
  "reset",
  "reset",
  "freeze",
  "freeze",
  "freeze-for-good",
  "lose-client",
  "lose-server",
  "goaway",
  "goaway",
  "goaway",
  "reset-stream",
  "reset-stream",
];
const CHUNKINGS: readonly Chunking[] = ["whole", "whole", "single", "random"];

/** Draws the faults of the next connection; `severity` from 0 to 1 is the share of connections that something befalls. */
export function drawLinkPlan(dice: Dice, severity: number): LinkPlan {
  const isSlow = dice.chance(severity / 4);
  const eventCount = dice.chance(severity) ? dice.whole(1, 2) : 0;
  return {
    faults: {
      delayMs: dice.chance(0.3) ? 0 : dice.between(0, 50 * severity),
      jitterMs: dice.chance(0.5) ? 0 : dice.between(0, 50 * severity),
      bytesPerSecond: isSlow ? dice.between(5000, 500_000) : Number.POSITIVE_INFINITY,
      highWaterBytes: dice.chance(0.3) ? dice.between(0, 5000) : 65_536,
      isSlowToTake: dice.chance(0.3),
      refusedShare: severity / 10,
    },
    chunking: dice.pick(CHUNKINGS),
    events: Array.from({ length: eventCount }, () => ({
      at: dice.chance(0.5) ? ("client" as const) : ("server" as const),
      // Early octets more often: prefaces, SETTINGS and the first headers are there.
      octet: Math.floor(dice.chance(0.3) ? dice.between(0, 300) : 30 * 1.5 ** dice.between(0, 22)),
      event: dice.pick(EVENTS),
    })).sort((one, other) => one.octet - other.octet),
    thawMs: dice.between(50, 2500),
  };
}

/** A connection without faults, cut as said. */
export function calmLinkPlan(chunking: Chunking): LinkPlan {
  return { faults: {}, chunking, events: [], thawMs: 0 };
}
