/** Of Go's time.ParseDuration, in ms. */
const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/** Reads a duration as Go writes it, `1.5s`, `2m30s`, `0`, in ms; undefined when it is none. */
export function readGoDuration(text: string): number | undefined {
  const [sign, rest] = text.startsWith("-") ? [-1, text.slice(1)] : [1, text.replace(/^\+/, "")];
  if (rest === "0") return 0;
  if (rest === "") return undefined;
  let totalMs = 0;
  let at = 0;
  while (at < rest.length) {
    PART.lastIndex = at;
    const part = PART.exec(rest);
    if (part === null) return undefined;
    totalMs += Number(part[1]) * UNITS_MS[part[2]];
    at = PART.lastIndex;
  }
  return sign * totalMs;
}
