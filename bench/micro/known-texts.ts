// What it takes to look whether a text is known, where it is and where it never is: ns of CPU a text, medians of interleaved rounds.
// Run: node bench/micro/known-texts.ts

import { readLine } from "../../packages/bowline/src/codec/wire/known-texts.ts";
import { readText } from "../../packages/bowline/src/codec/wire/read-text.ts";

const ROUNDS = 25;
const TEXTS = 40_000;
/** A group that comes again and again, as names and titles do. */
const GROUP = 10;
const kept: string[] = new Array<string>(100).fill("");

interface Kind {
  readonly what: string;
  readonly source: Buffer;
  readonly view: DataView;
  readonly length: number;
}

/** Texts of one length, one behind the other: `distinct` different ones in turns. */
function kind(length: number, distinct: number): Kind {
  const one = (i: number): string =>
    `${i.toString(36)}${"-text".repeat(13)}`.slice(0, length).split("").reverse().join("");
  const source = Buffer.from(Array.from({ length: TEXTS }, (_, i) => one(i % distinct)).join(""));
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  return { what: `${length} bytes, ${distinct === TEXTS ? "never again" : "again"}`, source, view, length };
}

const contestants: Readonly<Record<string, (kind: Kind, start: number) => string>> = {
  made: ({ source, length }, start) => readText(source, start, start + length),
  looked: ({ source, view, length }, start) => readLine(source, view, start, start + length),
};

function nanoseconds(read: (kind: Kind, start: number) => string, texts: Kind): number {
  const before = process.cpuUsage();
  for (let i = 0; i < TEXTS; i++) kept[i % kept.length] = read(texts, i * texts.length);
  return (process.cpuUsage(before).user * 1000) / TEXTS;
}

const kinds = [25, 32, 60].flatMap((length) => [kind(length, GROUP), kind(length, TEXTS)]);
const seen = kinds.map((texts) => ({ texts, ns: Object.values(contestants).map(() => [] as number[]) }));
for (let round = -3; round < ROUNDS; round++) {
  for (const { texts, ns } of seen) {
    for (const [at, read] of Object.values(contestants).entries()) {
      const each = nanoseconds(read, texts);
      if (round >= 0) ns[at].push(each);
    }
  }
}
console.log(["".padEnd(24), ...Object.keys(contestants)].join("  "));
for (const { texts, ns } of seen) {
  const medians = ns.map((each) =>
    each
      .sort((a, b) => a - b)
      [ROUNDS >> 1].toFixed(0)
      .padStart(6),
  );
  console.log([texts.what.padEnd(24), ...medians].join("  "));
}
