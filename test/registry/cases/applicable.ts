import { it } from "vitest";

/** `it` for what a product can do. What it can't is no test at all: skipped are only those that this machine can't run. */
export function itIf(applies: boolean): (name: string, test: () => Promise<void>) => void {
  return applies ? (name, test) => it(name, test) : () => {};
}
