import { readFile } from "node:fs/promises";
import type { Clock } from "../../rpc/clock.ts";
import { OWNER } from "./options.ts";

/** Tokens of pods live for an hour and are renewed after 80 % of it. */
const TOKEN_LIFE_MS = 60_000;

/** A token that may change while the process runs. */
export interface TokenSource {
  get(): Promise<string>;
  /** The server has refused it: ask for another the next time. */
  forget(): void;
}

/** A token in a file that others renew. */
export function fileToken(path: string | undefined, clock: Clock): TokenSource | undefined {
  if (path === undefined) return undefined;
  return cachedToken(clock, async () => {
    const text = await readFile(path, "utf8").catch((error: Error) => {
      throw new Error(`${OWNER}: the token can't be read: ${error.message}`);
    });
    const token = text.trim();
    if (token === "") throw new Error(`${OWNER}: ${path} holds no token`);
    return { token, lifeMs: TOKEN_LIFE_MS };
  });
}

/** A token that `read` gives, kept for its life; those who ask at the same time wait for one answer. */
export function cachedToken(
  clock: Clock,
  read: () => Promise<{ readonly token: string; readonly lifeMs: number }>,
): TokenSource {
  let known: { readonly token: string; readonly until: number } | null = null;
  let asking: Promise<string> | null = null;
  const ask = async (): Promise<string> => {
    try {
      const { token, lifeMs } = await read();
      known = { token, until: clock.fresh() + lifeMs };
      return token;
    } finally {
      asking = null;
    }
  };
  return {
    async get() {
      if (known !== null && clock.fresh() < known.until) return known.token;
      asking ??= ask();
      return asking;
    },
    // What is being read now is newer than what was refused.
    forget() {
      known = null;
    },
  };
}
