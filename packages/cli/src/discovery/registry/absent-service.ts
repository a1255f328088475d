import { CommandError } from "../../command-error.ts";
import { type LookUp, withScheme } from "./look-up.ts";
import { registryUrl } from "./registry-url.ts";
import { servicesOf } from "./services.ts";

/** Names that one message holds. */
const MAX_NAMED = 3;

/** What to say of a target without instances: which services of its registry have names that look alike, unless it has entries. */
export async function absentService(target: string, { complaints }: LookUp, timeoutMs: number): Promise<CommandError> {
  if (complaints.length > 0) return new CommandError(`${target} has no instances that can be used`);
  const message = `${target} has no instances: the registry answers, but nobody has registered under this name`;
  return new CommandError(message, await hintFor(target, timeoutMs));
}

async function hintFor(target: string, timeoutMs: number): Promise<string> {
  const compare = "Compare the name with createServer's option name.";
  const url = registryUrl(withScheme(target));
  if (url === null) return compare;
  try {
    const others = (await servicesOf(url.registry, timeoutMs)).filter((name) => name !== url.service);
    if (others.length === 0) return `${compare} There is no other service in this registry.`;
    const alike = servicesAlike(url.service, others);
    const meant = alike.length === 0 ? compare : `Did you mean ${alike.slice(0, MAX_NAMED).join(" or ")}?`;
    return `${meant} All that there are: bowline ls ${url.registry}`;
  } catch (error) {
    // Not every registry has a list, and not everybody may read it.
    if (error instanceof CommandError) return compare;
    throw error;
  }
}

/** Names that may have been meant, the likeliest first: few letters differ, or the longest word of one is in the other. */
export function servicesAlike(name: string, names: readonly string[]): readonly string[] {
  const words = wordsOf(name);
  const limit = Math.max(2, words.join("").length / 4);
  const rated = names.map((each) => ({ each, distance: distanceOf(words, wordsOf(each)) }));
  const near = rated.filter(({ distance }) => distance <= limit);
  return near.sort((a, b) => a.distance - b.distance).map(({ each }) => each);
}

function wordsOf(name: string): readonly string[] {
  return name.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function distanceOf(a: readonly string[], b: readonly string[]): number {
  const letters = edits(a.join(""), b.join(""));
  return letters > 1 && (isIn(longest(a), b) || isIn(longest(b), a)) ? 1 : letters;
}

function longest(words: readonly string[]): string {
  return words.reduce((best, word) => (word.length > best.length ? word : best), "");
}

function isIn(word: string, words: readonly string[]): boolean {
  return word.length > 2 && words.some((each) => each.includes(word));
}

/** Levenshtein's distance, one row at a time. */
function edits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}
