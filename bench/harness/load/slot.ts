/** Starts a call and ends it by exactly one of `slot.resolved`, `slot.rejected` or `slot.called`, never before it returns. */
export type StartCall = (slot: Slot) => void;

/** Who hears of the end of a slot's call. */
export interface SlotOwner {
  ended(slot: Slot): void;
  /** Messages of a stream that has not ended have come. */
  progressed(messages: number): void;
  failed(slot: Slot, error: unknown): void;
}

/** One of the calls in flight. Its functions are made once, not for each call. */
export class Slot {
  /** From 0. */
  readonly index: number;
  /** `performance.now()` at the start of the call, or when it was planned; 0 when it is not timed. */
  startedAtMs = 0;
  /** For `promise.then(slot.resolved, slot.rejected)`. */
  readonly resolved: () => void;
  readonly rejected: (error: unknown) => void;
  /** For callbacks of the form (error, answer). */
  readonly called: (error: unknown) => void;
  /** For streams of many messages: so many more have come. */
  readonly progressed: (messages: number) => void;

  constructor(index: number, owner: SlotOwner) {
    this.index = index;
    this.resolved = () => owner.ended(this);
    this.rejected = (error) => owner.failed(this, error);
    this.progressed = (messages) => owner.progressed(messages);
    this.called = (error) => (error ? owner.failed(this, error) : owner.ended(this));
  }
}
