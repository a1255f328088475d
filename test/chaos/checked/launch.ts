import { Child, type Program } from "../../peers/child.ts";

/** Starts a program somewhere. */
export type Launch = (program: Program) => Child;

/** More time than usual to start, in ms: several processes start at once, and the machine may be busy. */
export const START_MS: number = 60_000;

/** On this machine. */
export function launchHere(program: Program): Child {
  return new Child(program);
}
