import { randomUUID } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * A state that is made of events and of nothing else: the same events in the same order give the same state. So it may not
 * look at the clock or throw dice while it applies one; what it needs of that is in the event.
 */
export interface Journalled<Event> {
  apply(event: Event): void;
  /** The whole state as plain JSON. */
  snapshot(): unknown;
  /** Puts a snapshot in place of the state. */
  restore(snapshot: unknown): void;
}

/** Writes events down, in one order for all who share it. */
export interface Journal<Event> {
  /** Adds an event and applies it, behind all that others have added before. */
  append(event: Event): void;
  /** Applies what others have added. */
  catchUp(): void;
}

/** Room for events in a segment of a journal. The next one begins with a snapshot, and the one before is removed. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
const NEWLINE = 10;

/**
 * The shop's stand-in for a database: the instances of a service keep their state in memory, and agree on it through a file that
 * all of them append to. An instance that is killed loses nothing, and one that is added knows everything.
 *
 * It works because a short append to a local file is one step: the file's order is the order of events, for everybody.
 * Without a `folder` the state belongs to this process alone.
 */
export function openJournal<Event>(
  state: Journalled<Event>,
  folder?: string,
  segmentBytes: number = SEGMENT_BYTES,
): Journal<Event> {
  if (folder === undefined) return { append: (event) => state.apply(event), catchUp: () => {} };
  return new FileJournal(state, folder, segmentBytes);
}

interface Entry<Event> {
  readonly tag?: string;
  readonly event?: Event;
  readonly snapshot?: unknown;
}

class FileJournal<Event> implements Journal<Event> {
  readonly #state: Journalled<Event>;
  readonly #folder: string;
  readonly #segmentBytes: number;
  readonly #writer = randomUUID().slice(0, 8);
  #segment = 0;
  #file = -1;
  /** How far the segment is read. */
  #offset = 0;
  /** The segment's snapshot was seen; entries before it count for nothing. */
  #hasSnapshot = false;
  /** Length of the segment's events. When it is full, what follows belongs to the next one; who wrote it writes it there again. */
  #eventBytes = 0;
  /** Something was missed: the next snapshot replaces the state. */
  #isBehind = true;
  #lastTag = "";
  #appended = 0;

  constructor(state: Journalled<Event>, folder: string, segmentBytes: number) {
    this.#state = state;
    this.#folder = folder;
    this.#segmentBytes = segmentBytes;
    mkdirSync(folder, { recursive: true });
    this.#enter(0);
    this.catchUp();
  }

  append(event: Event): void {
    const tag = `${this.#writer}.${++this.#appended}`;
    // Again, when somebody else had ended the segment meanwhile.
    do {
      if (!this.#hasSnapshot) this.#write({ snapshot: this.#state.snapshot() });
      this.#write({ tag, event });
      this.catchUp();
    } while (this.#lastTag !== tag);
  }

  catchUp(): void {
    while (this.#readSegment()) this.#enter(this.#segment + 1);
  }

  /** Applies what is new. True when the segment is over. */
  #readSegment(): boolean {
    const base = this.#offset;
    const bytes = Buffer.alloc(fstatSync(this.#file).size - base);
    readSync(this.#file, bytes, 0, bytes.length, base);
    for (let start = 0; ; start = this.#offset - base) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) return false;
      if (end > start && this.#eventBytes >= this.#segmentBytes) return true;
      this.#offset = base + end + 1;
      this.#take(bytes.toString("utf8", start, end));
    }
  }

  #take(line: string): void {
    const { tag, event, snapshot } = parseEntry<Event>(line);
    if (snapshot !== undefined && !this.#hasSnapshot) {
      if (this.#isBehind) this.#state.restore(snapshot);
      this.#began();
    }
    if (event === undefined || !this.#hasSnapshot) return;
    this.#state.apply(event);
    this.#eventBytes += line.length;
    if (tag?.startsWith(this.#writer)) this.#lastTag = tag;
  }

  #enter(segment: number): void {
    const oldest = Math.min(...readdirSync(this.#folder).map(Number));
    // Whoever slept through two segments finds its own one gone.
    if (oldest !== Number.POSITIVE_INFINITY && oldest > segment) this.#isBehind = true;
    this.#segment = Number.isFinite(oldest) ? Math.max(segment, oldest) : segment;
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = openSync(join(this.#folder, String(this.#segment)), "a+");
    this.#offset = 0;
    this.#eventBytes = 0;
    this.#hasSnapshot = false;
    if (this.#segment === 0) this.#began();
  }

  /** The state is that of the segment's beginning. */
  #began(): void {
    this.#hasSnapshot = true;
    this.#isBehind = false;
    rmSync(join(this.#folder, String(this.#segment - 2)), { force: true });
  }

  /** The line break in front ends what somebody may have left half written when he was killed. */
  #write(entry: Entry<Event>): void {
    writeSync(this.#file, `\n${JSON.stringify(entry)}\n`);
  }
}

/** An entry; an empty one for what is none. */
function parseEntry<Event>(line: string): Entry<Event> {
  try {
    return line === "" ? {} : (JSON.parse(line) as Entry<Event>);
  } catch {
    return {};
  }
}
