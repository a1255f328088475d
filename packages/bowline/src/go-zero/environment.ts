/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Names of one character that Go's os.Expand takes from a shell; `$$` is one of them. */
const SPECIAL = /^[*#$@!?\-0-9]$/;
const NAME = /[A-Za-z0-9_]*/y;

/**
 * Puts the environment's variables in place of `$NAME` and `${NAME}`, as `conf.UseEnv()` does with Go's os.ExpandEnv: one that is not
 * set is empty, which `missing` hears of. That goes for `$$`, `$5` and their like too; a `$` before anything else stays.
 */
export function expandVariables(text: string, environment: Environment, missing: (name: string) => void): string {
  let expanded = "";
  let from = 0;
  for (let at = text.indexOf("$"); at >= 0 && at + 1 < text.length; at = text.indexOf("$", from)) {
    const { name, length } = shellName(text, at + 1);
    expanded += text.slice(from, at);
    from = at + 1 + length;
    if (name !== "") expanded += variableOf(name, environment, missing);
    // No name begins there: the dollar stands for itself. A brace without a name, or without an end, is dropped.
    else if (length === 0) expanded += "$";
  }
  return expanded + text.slice(from);
}

/** The name that begins behind a dollar, and how many characters it takes with its braces: getShellName of Go's package os. */
function shellName(text: string, at: number): { readonly name: string; readonly length: number } {
  if (text[at] === "{") {
    if (text[at + 2] === "}" && SPECIAL.test(text[at + 1])) return { name: text[at + 1], length: 3 };
    const end = text.indexOf("}", at);
    return end < 0 ? { name: "", length: 1 } : { name: text.slice(at + 1, end), length: end - at + 1 };
  }
  if (SPECIAL.test(text[at])) return { name: text[at], length: 1 };
  NAME.lastIndex = at;
  const name = NAME.exec(text)?.[0] ?? "";
  return { name, length: name.length };
}

function variableOf(name: string, environment: Environment, missing: (name: string) => void): string {
  // Every object has inherited names such as `constructor`.
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (value === undefined) missing(name);
  return value ?? "";
}

/** The same in all texts of a configuration that is an object already. */
export function expandAll(value: unknown, environment: Environment, missing: (name: string) => void): unknown {
  if (typeof value === "string") return expandVariables(value, environment, missing);
  if (Array.isArray(value)) return value.map((each) => expandAll(each, environment, missing));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, expandAll(each, environment, missing)]));
}
