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
  let known: Promise<{ readonly token: string; readonly until: number }> | null = null;
  const ask = async (): Promise<{ readonly token: string; readonly until: number }> => {
    const { token, lifeMs } = await read();
    return { token, until: clock.fresh() + lifeMs };
  };
  const forget = (): void => {
    known = null;
  };
  return {
    async get() {
      const current = await known?.catch(() => null);
      if (current === null || current === undefined || clock.fresh() >= current.until) known = ask();
      return (await (known ?? ask())).token;
    },
    forget,
  };
}
