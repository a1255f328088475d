const LINE_FEED = 0x0a;

/**
 * The lines of a body, without their ends: those that came together are given together. What stands behind the last line feed
 * counts as a line. Empty lines are left out.
 *
 * @throws RangeError for a line of more than `maxLineBytes`
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  maxLineBytes: number,
): AsyncGenerator<readonly string[], void, undefined> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      rest.push(chunk.subarray(start, end));
      addLine(lines, rest, maxLineBytes);
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      if (restBytes > maxLineBytes) throw tooLong(maxLineBytes);
    }
    if (lines.length > 0) yield lines;
  }
  const last: string[] = [];
  addLine(last, rest, maxLineBytes);
  if (last.length > 0) yield last;
}

function addLine(lines: string[], parts: readonly Buffer[], maxLineBytes: number): void {
  const line = parts.length === 1 ? parts[0] : Buffer.concat(parts);
  if (line.length > maxLineBytes) throw tooLong(maxLineBytes);
  const text = line.toString("utf8").replace(/\r$/, "");
  if (text !== "") lines.push(text);
}

function tooLong(maxLineBytes: number): RangeError {
  return new RangeError(`a line of the answer has more than the ${maxLineBytes} bytes that are allowed`);
}
