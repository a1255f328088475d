import type { Clock } from "../../rpc/clock.ts";

/** What the rules need to know of one who may be called. */
export interface Member {
  /** Identity: instance and address. */
  readonly id: string;
  /** Its instance has announced that it will stop. */
  readonly isDraining: boolean;
  /** `up`: connected. `down`: the last attempt to connect failed. `unknown`: it has not been tried to the end. */
  readonly reach: "up" | "down" | "unknown";
}

/** Why somebody is kept whom the registry no longer lists. */
export interface Suspicion {
  /** Since when, by the channel's clock, in ms. It begins anew when the registry was out of reach meanwhile. */
  readonly sinceMs: number;
  readonly why: string;
}

/** What a snapshot changes among the members. */
export interface MembershipChange<M> {
  /** Members that it lists. */
  readonly listed: number;
  /** Members that the one before listed. */
  readonly listedBefore: number;
  readonly added: readonly M[];
  /** Suspects that it lists again. */
  readonly returned: readonly M[];
  /** Listed before, and missing now without an explanation. */
  readonly vanished: readonly M[];
  /** The registry says so now; else it is out of reach, and this is the last that was heard of it. */
  readonly isLive: boolean;
  /** The first live one of this watch: what was known before is hearsay. */
  readonly isFirst: boolean;
}

/** Up to this share of the set may vanish without a word and is believed at once. */
const BELIEVED_SHARE = 0.2;
/** How long a suspect is kept and used, in ms; unexplained removals are added up over the same time. */
const SUSPECT_MS = 60_000;
/** A registry that is live and says nothing else for this long after a mass removal has confirmed it, in ms. */
const CONFIRM_MS = 5000;
/** A snapshot that repeats a mass removal confirms it when it comes at least this much later, in ms. */
const REPEAT_MS = 1000;

interface Freeze {
  readonly sinceMs: number;
  confirmAt: number;
  isConfirmed: boolean;
  /** Suspects that were down and have left. */
  downCount: number;
}

/**
 * Who belongs to a channel when the registry no longer lists somebody. Pure: the clock is given, connections are looked at.
 *
 * ```text
 *            announced its end, or is down while others are listed ───────────────────────► leaves
 *            up to 20 % of the set within 60 s ───────────────────────────────────────────► leaves
 *   vanished                       ┌──────── listed again: a member as before
 *            more ──► suspect ─────┼──────── down ────────────────────────────────────────► leaves
 *                        ▲         └──────── 60 s of a live registry, and as many listed
 *                        │                   members are connected as suspects would go ──► leave
 *            more than half, or all ──► frozen: nobody leaves who is not down, until that is confirmed, and
 *                                       half of the suspects are down or others have taken their place
 * ```
 *
 * Suspects are members like others. While the registry is out of reach nobody leaves, and no time passes. A registry that fails
 * therefore never empties a set whose members can be reached. Sources: Eureka's self-preservation, Finagle's stabilizer, Envoy's panic threshold.
 */
export class Membership<M extends Member> {
  readonly #clock: Clock;
  readonly #upListed: () => number;
  readonly #suspects: Map<M, Suspicion> = new Map();
  /** Who left without an explanation, by id, and when: many small losses are one large one. */
  readonly #lost: Map<string, number> = new Map();
  /** Who came back after such a loss, by id, and when: the next time it is not believed at once. */
  readonly #flapping: Map<string, number> = new Map();
  #freeze: Freeze | null = null;
  #listed = 0;
  #isLive = false;

  /** `upListed` counts the members that are listed and connected; who vanishes is not among them when `update` is called. */
  constructor(clock: Clock, upListed: () => number) {
    this.#clock = clock;
    this.#upListed = upListed;
  }

  /** Who is kept though the registry does not list it. */
  get suspects(): ReadonlyMap<M, Suspicion> {
    return this.#suspects;
  }

  /** True while a mass removal is not believed. */
  get isFrozen(): boolean {
    return this.#freeze !== null;
  }

  /** A mass removal waits for a second look: the registry should be asked. */
  get wantsSecondLook(): boolean {
    return this.#freeze !== null && !this.#freeze.isConfirmed;
  }

  /** When `look` is due, by the clock, in ms; `Infinity` when time changes nothing. */
  get lookAt(): number {
    if (!this.#isLive || this.#suspects.size === 0) return Number.POSITIVE_INFINITY;
    if (this.#freeze !== null) return this.#freeze.isConfirmed ? Number.POSITIVE_INFINITY : this.#freeze.confirmAt;
    let earliest = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (const { sinceMs } of this.#suspects.values()) {
      // What is overdue waits for a connection, not for time.
      if (sinceMs + SUSPECT_MS > now) earliest = Math.min(earliest, sinceMs + SUSPECT_MS);
    }
    return earliest;
  }

  /** A snapshot came. Returns who leaves. */
  update(change: MembershipChange<M>): readonly M[] {
    const now = this.#clock.now();
    this.#listed = change.listed;
    this.#forgetOld(now);
    const suspectsBefore = this.#suspects.size;
    this.#welcome(change, now);
    if (!change.isLive) return this.#keepAll(change.vanished, now);
    if (!this.#isLive) this.#resume(now);
    const isEmpty = change.listed === 0;
    if (change.isFirst && !isEmpty) return this.#replaceHearsay(change.vanished, now);
    const leaving: M[] = [];
    const vanished: M[] = [];
    for (const member of change.vanished) {
      const isExplained = member.isDraining || (member.reach === "down" && !isEmpty);
      (isExplained ? leaving : vanished).push(member);
    }
    const base = change.listedBefore - leaving.length + suspectsBefore + this.#lost.size;
    const missing = this.#suspects.size + vanished.length + this.#lost.size;
    const isMass = isEmpty || missing * 2 > base;
    if (isMass && this.#freeze !== null) this.#repeated(this.#freeze, now);
    if (isMass && vanished.length > 0) this.#freezeAll(vanished, missing, base, now);
    else leaving.push(...this.#believe(vanished, missing, base, now));
    if (!isMass && this.#freeze !== null) this.#thaw(now);
    return [...leaving, ...this.#judge(now)];
  }

  /** A member was connected or could not be. Returns who leaves. */
  changed(): readonly M[] {
    return this.#suspects.size === 0 ? [] : this.#judge(this.#clock.now());
  }

  /** Time has passed, see `lookAt`. Returns who leaves. */
  look(): readonly M[] {
    const now = this.#clock.now();
    const freeze = this.#freeze;
    if (freeze !== null && this.#isLive && now >= freeze.confirmAt) freeze.isConfirmed = true;
    return this.#judge(now);
  }

  /** The caller took it out by itself. */
  forget(member: M): void {
    this.#suspects.delete(member);
    if (this.#suspects.size === 0) this.#freeze = null;
  }

  /** The watch has ended: until the next one tells something nothing is certain. */
  pause(): void {
    this.#isLive = false;
  }

  #welcome({ added, returned }: MembershipChange<M>, now: number): void {
    for (const { id } of added) {
      if (!this.#lost.delete(id)) continue;
      this.#flapping.delete(id);
      this.#flapping.set(id, now);
    }
    for (const member of returned) this.forget(member);
  }

  /** Out of reach: whoever is missing now is missing for that reason. */
  #keepAll(vanished: readonly M[], now: number): readonly M[] {
    this.#isLive = false;
    for (const member of vanished) {
      if (!member.isDraining) this.#suspect(member, now, "missing while the registry is out of reach");
    }
    return vanished.filter((member) => member.isDraining);
  }

  /** Back in reach: the time without the registry does not count. */
  #resume(now: number): void {
    this.#isLive = true;
    for (const [member, { why }] of this.#suspects) this.#suspects.set(member, { sinceMs: now, why });
    if (this.#freeze === null) return;
    this.#freeze.isConfirmed = false;
    this.#freeze.confirmAt = now + CONFIRM_MS;
  }

  /** What was known before this watch counts for as much as its connections do. */
  #replaceHearsay(vanished: readonly M[], now: number): readonly M[] {
    for (const member of vanished) this.#suspect(member, now, "known from before, and not listed now");
    this.#thaw(now);
    return this.#leave((member) => member.isDraining || member.reach !== "up");
  }

  #freezeAll(vanished: readonly M[], missing: number, base: number, now: number): void {
    const why = `one of ${missing} missing of ${base}: too many to believe it before it is confirmed`;
    for (const member of vanished) this.#suspect(member, now, why);
    this.#freeze ??= { sinceMs: now, confirmAt: now + CONFIRM_MS, isConfirmed: false, downCount: 0 };
  }

  /** Takes losses as they are if they are few; who flaps keeps its connections. */
  #believe(vanished: readonly M[], missing: number, base: number, now: number): readonly M[] {
    // A fifth of the set may be all of it that can be reached.
    const upVanished = vanished.filter(({ reach }) => reach === "up").length;
    const isBelieved = missing <= base * BELIEVED_SHARE && upVanished <= this.#upListed();
    const leaving: M[] = [];
    for (const member of vanished) {
      if (isBelieved && !this.#flapping.has(member.id)) {
        this.#lost.set(member.id, now);
        leaving.push(member);
      } else {
        this.#suspect(member, now, isBelieved ? "comes and goes" : `one of ${missing} missing of ${base}`);
      }
    }
    return leaving;
  }

  #repeated(freeze: Freeze, now: number): void {
    if (now - freeze.sinceMs >= REPEAT_MS) freeze.isConfirmed = true;
  }

  #thaw(now: number): void {
    this.#freeze = null;
    for (const [member, { why }] of this.#suspects) this.#suspects.set(member, { sinceMs: now, why });
  }

  #judge(now: number): readonly M[] {
    if (!this.#isLive) return [];
    const freeze = this.#freeze;
    if (freeze?.isConfirmed === true && this.#isBorneOut(freeze)) this.#thaw(now);
    else if (freeze !== null && this.#listed === 0) return [];
    const leaving = this.#leave((member) => member.reach === "down");
    if (this.#freeze !== null) {
      this.#freeze.downCount += leaving.length;
      return leaving;
    }
    return [...leaving, ...this.#expire(now)];
  }

  /** Nobody leaves who can be reached, unless another who can be is there for it. */
  #expire(now: number): readonly M[] {
    const isDue = (suspicion: Suspicion): boolean => now >= suspicion.sinceMs + SUSPECT_MS;
    let upDue = 0;
    for (const [member, suspicion] of this.#suspects) if (isDue(suspicion) && member.reach === "up") upDue++;
    const up = this.#upListed();
    return up === 0 || up < upDue ? [] : this.#leave((_member, suspicion) => isDue(suspicion));
  }

  /** The network agrees with the registry: the missing are down for the most part, or others have taken their place. */
  #isBorneOut({ downCount }: Freeze): boolean {
    let down = downCount;
    for (const { reach } of this.#suspects.keys()) if (reach === "down") down++;
    const total = downCount + this.#suspects.size;
    const up = this.#upListed();
    return down * 2 >= total || (up > 0 && up >= total - down);
  }

  #leave(isLeaving: (member: M, suspicion: Suspicion) => boolean): readonly M[] {
    const leaving: M[] = [];
    for (const [member, suspicion] of this.#suspects) if (isLeaving(member, suspicion)) leaving.push(member);
    for (const member of leaving) this.forget(member);
    return leaving;
  }

  #suspect(member: M, sinceMs: number, why: string): void {
    this.#suspects.set(member, { sinceMs, why });
  }

  /** In the order of time, so that only what is old is looked at. */
  #forgetOld(now: number): void {
    for (const times of [this.#lost, this.#flapping]) {
      for (const [id, at] of times) {
        if (now - at < SUSPECT_MS) break;
        times.delete(id);
      }
    }
  }
}
