/** A key, by its character or its name. */
export type Key = "up" | "down" | "enter" | "escape" | "interrupt" | (string & {});

/** What terminals send for keys that are no characters: cursor keys in normal and application mode (ECMA-48, DEC VT100). */
const SEQUENCES: Readonly<Record<string, Key>> = {
  "\x1b[A": "up",
  "\x1bOA": "up",
  "\x1b[B": "down",
  "\x1bOB": "down",
  "\r": "enter",
  "\n": "enter",
  "\x03": "interrupt",
  "\x04": "interrupt",
};

/** The keys in what a terminal has sent. Sequences of other keys are passed over. */
export function keysIn(input: string): Key[] {
  const keys: Key[] = [];
  for (const [sequence] of input.matchAll(/\x1b[[O][0-9;]*[A-Za-z~]|[\s\S]/g)) {
    const key = SEQUENCES[sequence] ?? (sequence === "\x1b" ? "escape" : sequence);
    if (key.length === 1 || !key.startsWith("\x1b")) keys.push(key);
  }
  return keys;
}
