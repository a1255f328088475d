const END = "<!-- end of figures -->";

/**
 * The text of a page with the figures of a question in place of those between `<!-- figures of QUESTION -->` and the next
 * `<!-- end of figures -->`.
 *
 * @throws Error when the page has no place for them
 */
export function withFigures(page: string, question: string, figures: string): string {
  const mark = `<!-- figures of ${question} -->`;
  const begin = page.indexOf(mark);
  const end = page.indexOf(END, begin);
  if (begin < 0 || end < 0)
    throw new Error(`the page has no place for these figures: write ${mark} and ${END}, a line each`);
  return `${page.slice(0, begin + mark.length)}\n\n${figures}\n\n${page.slice(end)}`;
}
