import type { AppTokenOptions } from "../auth/app-token.ts";
import { checkOptions, nearestName, type OptionSpecs } from "../rpc/options.ts";
import type { ServerOptions } from "../server/server-options.ts";
import { type GoZeroClient, readClient } from "./client-section.ts";
import { type Environment, expandAll, expandVariables } from "./environment.ts";
import { Section } from "./section.ts";
import { readServer } from "./server-section.ts";

/** How a go-zero configuration is read; all of it is optional. */
export interface FromGoZeroOptions {
  /**
   * Puts variables in place of `$NAME` and `${NAME}`, as `conf.UseEnv()` does; one that is not set is empty, and noted. Usually
   * `process.env`. Default: nothing is replaced, which is go-zero's default too.
   */
  readonly environment?: Environment;
}

/** What a server needs that its go-zero configuration has elsewhere. */
export interface GoZeroServerOptions {
  /** Of `Auth: true`, in place of Redis: tokens by name of the app, or a function that looks them up. */
  readonly tokens?: AppTokenOptions["tokens"];
}

/** A go-zero configuration, for Bowline. */
export interface GoZeroConfig {
  /**
   * What `createServer` takes: the whole file as `zrpc.RpcServerConf`.
   *
   * @throws TypeError that names the field's path, its value and what is allowed; with `Auth: true` and no tokens as well
   */
  server(options?: GoZeroServerOptions): ServerOptions;
  /**
   * What `createClient` takes: the section of this name as `zrpc.RpcClientConf`, `Shop.UserRpc` for one inside another; without a name
   * the whole file. What its `Etcd` lacks it has from those further out.
   *
   * @throws TypeError that names the field's path, its value and what is allowed
   */
  client(section?: string): GoZeroClient;
  /**
   * A sentence for each field that was read by now and is unknown, with the nearest one that is not, or that changes nothing here, with
   * what takes its place. Worth logging at the start.
   */
  readonly notes: readonly string[];
}

const SPECS: OptionSpecs = { environment: { kind: "object" } };
const SERVER_SPECS: OptionSpecs = { tokens: { kind: "any" } };

/**
 * Reads the configuration of a go-zero service, so that it can be served or called with the file that is there:
 * `createServer((await fromGoZero(text)).server())`. Names of fields count without their case.
 *
 * `config` is YAML, which needs the package `yaml`, or what any parser has made of it. Rejects with TypeError for what is no YAML or
 * holds no fields, and with Error when the package is missing.
 */
export async function fromGoZero(config: string | object, options: FromGoZeroOptions = {}): Promise<GoZeroConfig> {
  checkOptions("fromGoZero options", options, SPECS);
  const { environment } = options;
  const notes = new Set<string>();
  const missing = (name: string): void => void notes.add(`\${${name}}: is not in the environment, and empty therefore`);
  const expand = (text: string): string =>
    environment === undefined ? text : expandVariables(text, environment, missing);
  const fields = typeof config === "string" ? await parseYaml(expand(config)) : config;
  const isText = typeof config === "string" || environment === undefined;
  const top = new Section("", isText ? fields : expandAll(fields, environment, missing), notes);
  return {
    server: (given = {}) => {
      checkOptions("server options", given, SERVER_SPECS);
      return readServer(top, given.tokens);
    },
    client: (section) => readClient(section === undefined ? top : sectionOf(top, section)),
    get notes() {
      return [...notes];
    },
  };
}

function sectionOf(top: Section, path: string): Section {
  return path.split(".").reduce((section, name) => {
    const inner = section.section(name);
    if (inner === undefined) throw missingSection(section, name);
    return inner;
  }, top);
}

function missingSection(section: Section, name: string): TypeError {
  const nearest = nearestName(name, section.names);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  return section.fault(name, undefined, `there is no section of that name${hint}`);
}

/** YAML 1.1, as go-zero's parser reads it: `on` and `yes` are true. */
async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import("yaml").catch(() => {
    throw new Error("reading YAML needs the package yaml: npm install yaml; or give fromGoZero() the parsed object");
  });
  try {
    return parse(text, { version: "1.1", logLevel: "error" });
  } catch (error) {
    throw new TypeError(`go-zero configuration: this is no YAML: ${placeOf(error)}`);
  }
}

/** Where and of what kind an error of the parser is. Its message has the line, and with it what may be a secret. */
function placeOf(error: unknown): string {
  const { code, linePos } = (error ?? {}) as { readonly code?: unknown; readonly linePos?: readonly LinePosition[] };
  const [at] = linePos ?? [];
  const hint = "a text with special characters needs quotation marks";
  if (typeof code !== "string" || at === undefined) return hint;
  return `line ${at.line}, column ${at.col}: ${code.toLowerCase().replaceAll("_", " ")}; ${hint}`;
}

interface LinePosition {
  readonly line: number;
  readonly col: number;
}
