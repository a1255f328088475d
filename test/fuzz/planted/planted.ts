import type { FuzzTarget } from "../engine/fuzz-target.ts";
import { maze } from "./maze.ts";

/** Length, content, and a sum over both: what a reader of frames with a checked length is like. */
function checkedLength(input: Buffer): void {
  for (let at = 0; at < input.length; at += 2 + input[at + 1]) {
    if (at + 2 > input.length || at + 2 + input[at + 1] > input.length) return;
    if (input[at] === 7 && input[at + 1] === 29) throw new Error("the planted fault in a frame of 29 octets");
  }
}

function planted(name: string, run: FuzzTarget["run"], more: Partial<FuzzTarget> = {}): () => FuzzTarget {
  return () => ({
    name,
    what: "a planted fault, to see whether the engine finds it",
    covers: ["planted/"],
    maxBytes: 64,
    tokens: [],
    seeds: [Buffer.from("seed")],
    run,
    ...more,
  });
}

/** A fault for each part of the engine, of a kind that only this part finds in reasonable time. */
export const PLANTED: Readonly<Record<string, () => FuzzTarget>> = {
  "planted-maze": planted("planted-maze", maze),
  "planted-token": planted(
    "planted-token",
    (input) => {
      if (input.includes("grpc-timeout")) throw new Error("the planted fault at a word");
    },
    { tokens: [Buffer.from("grpc-timeout")] },
  ),
  "planted-edge": planted("planted-edge", (input) => {
    for (let at = 0; at + 4 <= input.length; at++) {
      if (input.readUInt32BE(at) === 0x7fffffff) throw new Error("the planted fault at a number");
    }
  }),
  "planted-length": planted("planted-length", checkedLength, {
    seeds: [Buffer.from("0101ff0702aabb0303cccccc", "hex")],
    framing: {
      split(input) {
        const records: Buffer[] = [];
        for (let at = 0; at < input.length; ) {
          const to = Math.min(input.length, at + 2 + (input[at + 1] ?? 0));
          records.push(input.subarray(at, to));
          at = to;
        }
        return records;
      },
      seal(record) {
        if (record.length >= 2) record[1] = record.length - 2;
        return record;
      },
    },
  }),
  "planted-splice": planted(
    "planted-splice",
    (input) => {
      const text = input.toString("latin1");
      if (text.includes("leftleft") && text.includes("rightright")) throw new Error("the planted fault of two halves");
    },
    { seeds: [Buffer.from("leftleft----"), Buffer.from("----rightright")] },
  ),
  "planted-promise": planted("planted-promise", async (input) => {
    await null;
    if (input.length > 40) throw new Error("the planted fault in a promise");
  }),
  "planted-hang": planted("planted-hang", (input) => {
    while (input.length > 30);
  }),
  "planted-memory": planted("planted-memory", (input) => {
    const kept: Uint8Array[] = [];
    while (input.length > 30) kept.push(new Uint8Array(1 << 20).fill(1));
  }),
};
