import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readCorpus } from "./engine/corpus.ts";
import { replay } from "./engine/fuzz-one.ts";
import { Fuzzer } from "./engine/fuzzer.ts";
import { PLANTED } from "./planted/planted.ts";
import { TARGETS } from "./targets/all-targets.ts";

const SEED = 1;
/** Mutated inputs a target beside seeds and corpus; those of whole connections take a millisecond or two each. */
const INPUTS = new Map([
  ["server", 300],
  ["client", 200],
  ["node-http2", 500],
  ["codec-differential", 500],
]);
const DEFAULT_INPUTS = 1500;
const program = fileURLToPath(new URL("./run.ts", import.meta.url));

describe.each(Object.entries(TARGETS))("%s", (name, make) => {
  it(`reads the corpus and inputs made of it as its oracle says (seed ${SEED})`, async () => {
    const target = await make();
    try {
      const files = readCorpus(name);
      expect(files.length).toBeGreaterThan(0);
      const corpus = files.map(({ bytes }) => bytes);
      const start = corpus.length + target.seeds.length;
      const maxInputs = start + (INPUTS.get(name) ?? DEFAULT_INPUTS);
      const options = { seed: SEED, forMs: Number.POSITIVE_INFINITY, maxInputs, corpus, isGuided: false };
      const { inputs, finding } = await new Fuzzer(target, options).run();
      if (finding !== undefined) {
        throw new Error(`seed ${SEED}, input ${finding.input.toString("hex")}`, { cause: finding.error });
      }
      expect(inputs).toBe(maxInputs);
    } finally {
      await target.close?.();
    }
  }, 60_000);
});

interface Run {
  readonly code: number;
  readonly output: string;
}

function run(...args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--no-warnings", program, ...args], (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

describe("the engine", () => {
  const planted: [name: string, fault: string, part: string][] = [
    ["planted-maze", "behind the gates", "coverage"],
    ["planted-token", "at a word", "words of the target"],
    ["planted-edge", "at a number", "numbers at edges"],
    ["planted-length", "in a frame of 29 octets", "lengths that are made right"],
    ["planted-splice", "of two halves", "splicing"],
    ["planted-promise", "in a promise", "rejections"],
    ["planted-hang", "ran for more than 3000 ms", "the watchdog's clock"],
    ["planted-memory", "350 are allowed", "the watchdog's bound of memory"],
  ];

  it("finds each planted fault, by the part of it that the fault was planted for, and tells the command that shows it again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bowline-fuzz-"));
    try {
      const bounds = ["--hang-ms", "3000", "--max-resident-mib", "350", "--inputs", "2000000", "--seconds", "50"];
      const names = planted.map(([name]) => name);
      const { code, output } = await run(...names, "--seed", "1", "--out", folder, "--json", ...bounds);
      const { fuzz } = JSON.parse(output.trim().split("\n").at(-1) ?? "") as {
        fuzz: { fault: string; file: string }[];
      };
      for (const [index, [name, fault, part]] of planted.entries()) {
        expect(fuzz[index].fault, part).toContain(fault);
        expect(output).toContain(`${name} --replay ${fuzz[index].file}`);
      }
      expect(code).toBe(1);
      const again = await run(names[0], "--replay", fuzz[0].file);
      expect(again.output).toContain(planted[0][1]);
      expect(again.code).toBe(1);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 120_000);

  it("repeats a run by its seed", async () => {
    const runOnce = async (seed: number): Promise<string> => {
      const seen: string[] = [];
      const target = { ...(await TARGETS.address()), run: (input: Buffer) => void seen.push(input.toString("hex")) };
      await new Fuzzer(target, { seed, forMs: 60_000, maxInputs: 500, corpus: [], isGuided: false }).run();
      return seen.join();
    };
    expect(await runOnce(7)).toBe(await runOnce(7));
    expect(await runOnce(7)).not.toBe(await runOnce(8));
  });

  it("does not find the way through the gates without coverage", async () => {
    const options = { seed: 1, forMs: 60_000, maxInputs: 100_000, corpus: [], isGuided: false };
    expect((await new Fuzzer(PLANTED["planted-maze"](), options).run()).finding).toBeUndefined();
  });

  it("says of a file that it is read, and of a target that there is none", async () => {
    const target = await TARGETS.frames();
    expect(await replay(target, Buffer.from("000000040000000000", "hex"))).toBeUndefined();
    expect((await run("frame")).output).toContain("there is no target frame; there are: hpack, frames");
  });
});
