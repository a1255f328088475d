import type { Tone } from "./paint.ts";

/** Something that has happened. */
export interface LoggedEvent {
  /** Time of day, `14:03:59`. */
  readonly time: string;
  readonly text: string;
  readonly tone: Tone;
}

const MAX_EVENTS = 200;

/** What to make of an event, by its words; the first that fits. */
const TONES: readonly (readonly [RegExp, Tone])[] = [
  [/killed|ended by itself|failed|can't|did not start/, "bad"],
  [/frozen|drains|left/, "warning"],
  [/serves|joined|runs again|takes/, "good"],
];

/** The last events, oldest first. */
export class EventLog {
  readonly events: LoggedEvent[] = [];

  add(text: string): void {
    const tone = TONES.find(([words]) => words.test(text))?.[1] ?? "faint";
    this.events.push({ time: new Date().toTimeString().slice(0, 8), text, tone });
    if (this.events.length > MAX_EVENTS) this.events.shift();
  }
}
