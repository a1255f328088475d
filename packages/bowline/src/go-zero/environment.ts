/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLE = /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g;

/**
 * Puts the environment's variables in place of `$NAME` and `${NAME}`, as `conf.UseEnv()` does: one that is not set is empty, which
 * `missing` hears of.
 */
export function expandVariables(text: string, environment: Environment, missing: (name: string) => void): string {
  return text.replace(VARIABLE, (_all, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare ?? "";
    // Every object has inherited names such as `constructor`.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) missing(name);
    return value ?? "";
  });
}

/** The same in all texts of a configuration that is an object already. */
export function expandAll(value: unknown, environment: Environment, missing: (name: string) => void): unknown {
  if (typeof value === "string") return expandVariables(value, environment, missing);
  if (Array.isArray(value)) return value.map((each) => expandAll(each, environment, missing));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, expandAll(each, environment, missing)]));
}
