import { env } from "node:process";

/** The environment's variables, as they are now. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return { ...env };
}
