/** An option as the source of its interface documents it. */
export interface OptionDoc {
  readonly name: string;
  /** As in the source, `number`. */
  readonly type: string;
  /** The doc comment in one line, without its sentence about the default. */
  readonly meaning: string;
  /** What stands behind `Default` in the doc comment, `4 MiB`; empty when it names none. */
  readonly defaultValue: string;
}

const MEMBER = /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*(?:readonly )?(\w+)\??: ([^;]+);/g;

/**
 * The documented members of an exported interface, in their order.
 *
 * @throws Error when the source has no such interface: the page that is made of it must not become empty unnoticed
 */
export function optionDocs(source: string, interfaceName: string): OptionDoc[] {
  const start = source.search(new RegExp(`export interface ${interfaceName} (?:extends [\\w, ]+ )?\\{`));
  if (start < 0) throw new Error(`there is no "export interface ${interfaceName}"`);
  const body = source.slice(source.indexOf("{", start) + 1, source.indexOf("\n}", start));
  return [...body.matchAll(MEMBER)].map(([, comment, name, type]) => {
    const text = comment
      .replace(/^\s*\*? ?/gm, "")
      .replace(/\s+/g, " ")
      .trim();
    const [, meaning, defaultValue] = /^(.*?)(?:\s*\bDefault:? (.*?)\.?)?$/.exec(text) ?? ["", text, ""];
    return { name, type, meaning, defaultValue: defaultValue ?? "" };
  });
}
