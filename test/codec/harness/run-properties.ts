import { rm } from "node:fs/promises";
import { createRegistry } from "@bufbuild/protobuf";
import { Chance } from "../chance.ts";
import { PROPERTIES } from "../properties/all-properties.ts";
import { Fault, type Trial } from "../properties/property.ts";
import {
  type CompiledSchemas,
  type CompiledType,
  codecFolder,
  compileProtos,
  compileSchemas,
  type Judged,
} from "./compiled-schemas.ts";

/** A property that did not hold for a type. */
export interface FoundFault {
  readonly property: string;
  readonly text: string;
  /** One command that shows it again. */
  readonly replay: string;
}

/** What is tried, and on which types. */
export interface PropertyRun {
  readonly property: string;
  readonly rounds: number;
  readonly firstRound?: number;
  readonly judged?: Judged;
  /** Ends after so many faults. Default: after all. */
  readonly showsAtMost?: number;
}

/** Tries one property on every type, as many rounds as asked for; at most one fault a type. */
export function tryProperty(schemas: CompiledSchemas, run: PropertyRun): FoundFault[] {
  const property = PROPERTIES[run.property];
  if (property === undefined) throw new RangeError(`no property is called ${JSON.stringify(run.property)}`);
  const registry = createRegistry(...schemas.files);
  const found: FoundFault[] = [];
  for (const type of schemas.types) {
    if (found.length === run.showsAtMost) break;
    for (let round = run.firstRound ?? 0; round < (run.firstRound ?? 0) + run.rounds; round++) {
      const text = faultOf({ type, registry, chance: new Chance(seedOf(type, run.property, round)) }, property);
      if (text === undefined) continue;
      const replay = `sh scripts/run.sh test/codec/soak.ts --schema ${type.seed} --round ${round}${run.judged === "dynamic" ? " --codec dynamic" : ""}`;
      found.push({ property: run.property, text, replay });
      break;
    }
  }
  return found;
}

/** Generates a batch of schemas in a folder of its own, hands it to `use` and removes it. */
export async function withSchemas<T>(
  seeds: readonly number[],
  judged: Judged,
  use: (schemas: CompiledSchemas) => T | Promise<T>,
): Promise<T> {
  return inFolder(async (folder) => use(await compileSchemas(folder, seeds, judged)));
}

/** The same for files given as text, by import path. */
export async function withProtos<T>(
  sources: ReadonlyMap<string, string>,
  judged: Judged,
  use: (schemas: CompiledSchemas) => T | Promise<T>,
): Promise<T> {
  return inFolder(async (folder) => use(await compileProtos(folder, sources, judged)));
}

async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await codecFolder();
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function faultOf(trial: Trial, property: (trial: Trial) => void): string | undefined {
  try {
    property(trial);
    return undefined;
  } catch (error) {
    return error instanceof Fault
      ? error.message
      : `${trial.type.desc.typeName}: ${error instanceof Error ? error.stack : error}`;
  }
}

/** The same choices for a type whatever else is tried (FNV-1a). */
function seedOf(type: CompiledType, property: string, round: number): number {
  let hash = 0x811c9dc5;
  for (const character of `${type.seed}/${type.desc.typeName}/${property}/${round}`) {
    hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193);
  }
  return hash;
}
