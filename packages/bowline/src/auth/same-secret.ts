import { hash, timingSafeEqual } from "node:crypto";

/**
 * True when both texts are the same. The time it takes tells nothing of where they differ: digests are compared, which have one length
 * and share no beginning.
 */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

/** How many of `secrets` are `given`. All of them are compared, so that the time does not tell which one it was. */
export function countSame(secrets: readonly string[], given: string): number {
  const wanted = digest(given);
  return secrets.filter((each) => timingSafeEqual(digest(each), wanted)).length;
}

function digest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
