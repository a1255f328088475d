import { closeSync, openSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../rpc/clock.ts";

/** Part of its descriptors that a process has open when it should be said: what is left goes in a moment. */
const EDGE_SHARE = 0.95;
const LOOK_MS = 1000;

/** What to do about it. */
export const DESCRIPTOR_ADVICE: string = "raise `ulimit -n` or lower maxConnections";

/**
 * Notices that a process runs out of file descriptors, of which nobody tells Node: libuv takes and closes the connections for which
 * there are none. Where there is no /proc it notices nothing.
 *
 * The kernel gives a new socket the lowest number that is free, so the number of an accepted one tells how many are open. Once that is
 * near the limit, one more descriptor is tried each second.
 */
export class DescriptorWatch {
  readonly #clock: Clock;
  readonly #report: (kind: "few-descriptors" | "accept-failed", text: string) => void;
  readonly #limit: number = descriptorLimit();
  #timer: Timer | null = null;

  /** `report` hears of `few-descriptors` once, and of `accept-failed` each second in which there are none. */
  constructor(clock: Clock, report: (kind: "few-descriptors" | "accept-failed", text: string) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** A connection was taken. */
  accepted(socket: Socket): void {
    const open = ((socket as { _handle?: { fd?: number } })._handle?.fd ?? -1) + 1;
    if (this.#timer !== null || !(open >= this.#limit * EDGE_SHARE)) return;
    this.#report("few-descriptors", `${open} of ${this.#limit} descriptors are open: ${DESCRIPTOR_ADVICE}`);
    this.#wait();
  }

  /** Looks no more. */
  close(): void {
    this.#timer?.cancel();
  }

  #wait(): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    try {
      closeSync(openSync("/dev/null", "r"));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const text = `could not be taken: all ${this.#limit} descriptors are open (${code}); ${DESCRIPTOR_ADVICE}`;
      if (code === "EMFILE" || code === "ENFILE") this.#report("accept-failed", text);
    }
    this.#wait();
  }
}

/** The soft limit, which Node raises to the hard one at its start; NaN where it is not known, or there is none. */
function descriptorLimit(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1]);
  } catch {
    return Number.NaN;
  }
}
