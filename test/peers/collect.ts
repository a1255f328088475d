/** Everything that an iterable gives, in order. (Array.fromAsync is not in the library that tsconfig names.) */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
