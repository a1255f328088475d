/** Ways to make a text stand out. */
export type Tone = "strong" | "faint" | "good" | "warning" | "bad" | "accent" | "chosen";

/** Gives a text a tone; without colours it stays as it is. */
export type Paint = (tone: Tone, text: string) => string;

/** Select Graphic Rendition, ECMA-48 § 8.3.117: the sixteen colours that every terminal lets its owner choose. */
const CODES: Readonly<Record<Tone, readonly [number, number]>> = {
  strong: [1, 22],
  faint: [90, 39],
  good: [32, 39],
  warning: [33, 39],
  bad: [91, 39],
  accent: [36, 39],
  chosen: [7, 27],
};

/** Paints with ANSI colours, or not at all (https://no-color.org). */
export function painter(hasColours: boolean): Paint {
  if (!hasColours) return (_tone, text) => text;
  return (tone, text) => `\x1b[${CODES[tone][0]}m${text}\x1b[${CODES[tone][1]}m`;
}
