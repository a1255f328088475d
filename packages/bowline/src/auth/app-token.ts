import { randomBytes } from "node:crypto";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type Authenticator, type Identity, isThenable, unauthenticated } from "./authenticator.ts";
import { countSame } from "./same-secret.ts";

/** The tokens of an app: one, or several while it changes from one to the next. Undefined for an app that nobody knows. */
export type AppTokens = string | readonly string[] | undefined;

/** Which apps there are. */
export interface AppTokenOptions {
  /** Tokens by name of the app, or a function that looks them up. What it throws ends the call with UNAVAILABLE. */
  readonly tokens:
    | Readonly<Record<string, string | readonly string[]>>
    | ((app: string) => AppTokens | Promise<AppTokens>);
}

const SPECS: OptionSpecs = { tokens: { kind: "any" } };

/**
 * go-zero's way: callers send the metadata `app` and `token`. Their texts of refusal are go-zero's, both UNAUTHENTICATED: "app/token
 * required" and "access denied". Unlike there, an app that is not known is refused, and so is every call while tokens can't be looked
 * up. Rules call an app `app:NAME`.
 *
 * @throws TypeError when `tokens` is missing, or has an empty token
 */
export function appToken(options: AppTokenOptions): Authenticator {
  checkOptions("appToken options", options, SPECS);
  const lookUp = lookUpOf(options?.tokens);
  // What an unknown app is compared with, so that it takes as long as a known one.
  const nobody = randomBytes(16).toString("hex");
  const check = (app: string, token: string, tokens: AppTokens): Identity => {
    const known = [tokens ?? []].flat().filter((each) => each !== "");
    const candidates = known.length === 0 ? [nobody] : known;
    if (countSame(candidates, token) === 0 || known.length === 0) throw unauthenticated("access denied");
    return { scheme: "app", name: app, names: [`app:${app}`], claims: {} };
  };
  return {
    scheme: "app",
    required: "app/token required",
    authenticate({ metadata }) {
      const apps = metadata.getAll("app");
      const given = metadata.getAll("token");
      if (apps.length === 0 && given.length === 0) return null;
      const [app, token] = [String(apps[0] ?? ""), String(given[0] ?? "")];
      if (app === "" || token === "") throw unauthenticated("app/token required");
      if (apps.length > 1 || given.length > 1) throw unauthenticated("access denied");
      const tokens = lookUp(app);
      if (!isThenable(tokens)) return check(app, token, tokens);
      return Promise.resolve(tokens).then((found) => check(app, token, found));
    },
  };
}

function lookUpOf(tokens: AppTokenOptions["tokens"] | undefined): (app: string) => AppTokens | Promise<AppTokens> {
  if (typeof tokens === "function") return tokens;
  if (typeof tokens !== "object" || tokens === null) {
    throw new TypeError("appToken options.tokens is missing: give tokens by name of the app, or a function");
  }
  for (const [app, each] of Object.entries(tokens)) {
    if ([each].flat().every((token) => typeof token === "string" && token !== "") && app !== "") continue;
    throw new TypeError(`appToken options.tokens["${app}"] has an empty name or token: leave it out, or give a secret`);
  }
  return (app) => (Object.hasOwn(tokens, app) ? tokens[app] : undefined);
}
