/** Not the full block: it would touch the line above. */
const BARS = "▁▂▃▄▅▆▇";

/** A text in so many columns: to the right of them, or to the left if `width` is negative. Longer ones are cut. */
export function cell(text: string, width: number): string {
  const size = Math.abs(width);
  return width < 0 ? clipped(text, size).padEnd(size) : clipped(text, size).padStart(size);
}

/** A text that takes at most so many columns; the end of what was cut is an ellipsis. */
export function clipped(text: string, columns: number): string {
  if (text.length <= columns) return text;
  return columns <= 0 ? "" : `${text.slice(0, columns - 1)}…`;
}

/** `12,345` */
export function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Milliseconds with as many digits as matter: `0.84`, `12.3`, `140`; `–` for none. */
export function latency(ms: number): string {
  if (ms === 0) return "–";
  if (ms < 0.01) return "<0.01";
  if (ms < 9.995) return ms.toFixed(2);
  return ms < 99.95 ? ms.toFixed(1) : ms.toFixed(0);
}

/** `4:07`, `1:04:07` */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number): string => String(value % 60).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** The last values as bars, relative to the highest; `size` columns. */
export function sparkline(values: readonly number[], size: number): string {
  const shown = values.slice(-size);
  const top = Math.max(...shown, Number.MIN_VALUE);
  const bars = shown.map((value) => BARS[Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length))]);
  return bars.join("").padStart(size);
}
