import { appendFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Journalled, openJournal } from "./journal.ts";

/** Keeps all words in order. */
class Words implements Journalled<string> {
  words: string[] = [];

  apply(word: string): void {
    this.words.push(word);
  }

  snapshot(): unknown {
    return this.words;
  }

  restore(snapshot: unknown): void {
    this.words = [...(snapshot as string[])];
  }
}

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "shop-journal-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a journal", () => {
  it("gives all who share it the same events in the same order", () => {
    const [first, second] = [new Words(), new Words()];
    const [a, b] = [openJournal(first, folder), openJournal(second, folder)];
    a.append("one");
    b.append("two");
    a.append("three");
    b.catchUp();
    expect(first.words).toEqual(["one", "two", "three"]);
    expect(second.words).toEqual(first.words);
  });

  it("tells somebody new what has happened before", () => {
    openJournal(new Words(), folder).append("early");
    const late = new Words();
    openJournal(late, folder);
    expect(late.words).toEqual(["early"]);
  });

  it("passes over what somebody had half written when he was killed", () => {
    const words = new Words();
    const journal = openJournal(words, folder);
    journal.append("whole");
    appendFileSync(join(folder, "0"), '\n{"tag":"x.1","event":"ha');
    journal.append("next");
    expect(words.words).toEqual(["whole", "next"]);
  });

  it("begins a new segment when one is full, and loses nothing on the way", () => {
    const [first, second] = [new Words(), new Words()];
    const [a, b] = [openJournal(first, folder, 100), openJournal(second, folder, 100)];
    const expected = Array.from({ length: 60 }, (_, i) => `word ${i}`);
    for (const [i, word] of expected.entries()) (i % 3 === 0 ? b : a).append(word);
    a.catchUp();
    b.catchUp();
    expect(first.words).toEqual(expected);
    expect(second.words).toEqual(expected);
    expect(Math.max(...readdirSync(folder).map(Number))).toBeGreaterThan(5);
  });

  it("keeps two segments at most, from which somebody new learns everything", () => {
    const words = new Words();
    const journal = openJournal(words, folder, 100);
    for (let i = 0; i < 60; i++) journal.append(`word ${i}`);
    expect(readdirSync(folder).length).toBeLessThanOrEqual(2);
    const late = new Words();
    openJournal(late, folder, 100);
    expect(late.words).toEqual(words.words);
  });

  it("is caught up with by somebody who slept while segments came and went", () => {
    const sleeper = new Words();
    const sleeping = openJournal(sleeper, folder, 100);
    sleeping.append("before");
    const awake = openJournal(new Words(), folder, 100);
    for (let i = 0; i < 60; i++) awake.append(`word ${i}`);
    sleeping.append("after");
    expect(sleeper.words).toEqual(["before", ...Array.from({ length: 60 }, (_, i) => `word ${i}`), "after"]);
  });

  it("keeps the state in the process when it has no folder", () => {
    const words = new Words();
    openJournal(words).append("mine");
    expect(words.words).toEqual(["mine"]);
  });
});
