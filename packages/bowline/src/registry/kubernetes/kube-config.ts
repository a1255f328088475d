import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { HttpTlsSettings } from "../http/http-tls.ts";
import type { RegistryContext } from "../registry-config.ts";
import type { ClusterAccess } from "./access.ts";
import { type KubernetesOptions, OWNER } from "./options.ts";
import { cachedToken, fileToken, type TokenSource } from "./token.ts";

/** Of a kubeconfig (client.authentication.k8s.io and "Organizing Cluster Access Using kubeconfig Files"). */
type Fields = Readonly<Record<string, unknown>>;

/** A section of a kubeconfig with the folder that its paths are relative to. */
interface Section {
  readonly fields: Fields;
  readonly folder: string;
}

/** What a credential plugin may take. */
const EXEC_TIMEOUT_MS = 30_000;
/** A plugin is asked again after this time, or when its token is refused: those of clouds hold for 15 minutes and more. */
const EXEC_LIFE_MS = 540_000;

/** Reads what kubectl would use. Rejects with what is missing, or can't be used. */
export async function readKubeConfig(options: KubernetesOptions, context: RegistryContext): Promise<ClusterAccess> {
  const { environment } = context;
  const fromEnvironment = environment.KUBECONFIG ?? "";
  const own =
    fromEnvironment === ""
      ? [join(environment.HOME ?? homedir(), ".kube", "config")]
      : fromEnvironment.split(delimiter);
  const paths = options.kubeconfig === undefined ? own.filter((path) => path !== "") : [options.kubeconfig];
  const files = await readAll(paths, options.kubeconfig !== undefined);
  const find = (list: string, kind: string, name: string): Section => {
    for (const { fields, folder } of files) {
      for (const entry of listOf(fields[list])) {
        if (entry.name === name) return { fields: fieldsOf(entry[kind]), folder };
      }
    }
    throw new Error(
      `${OWNER}: ${paths.join(", ")} names the ${kind} ${JSON.stringify(name)}, but has none of that name`,
    );
  };
  const current =
    options.context ?? files.map(({ fields }) => textOf(fields["current-context"])).find((name) => name !== "");
  if (current === undefined) {
    throw new Error(`${OWNER}: ${paths.join(", ")} has no current-context; set the option context`);
  }
  const { fields: chosen } = find("contexts", "context", current);
  const cluster = find("clusters", "cluster", textOf(chosen.cluster));
  const user: Section =
    textOf(chosen.user) === "" ? { fields: {}, folder: "." } : find("users", "user", textOf(chosen.user));
  const server = textOf(cluster.fields.server);
  if (server === "") throw new Error(`${OWNER}: the cluster of the context ${current} has no server`);
  return {
    server,
    tls: tlsOf(cluster, user),
    namespace: textOf(chosen.namespace) || "default",
    source: `the context ${current} of ${paths.join(", ")}`,
    token: tokenOf(user, context),
  };
}

async function readAll(paths: readonly string[], isRequired: boolean): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" && !isRequired) return undefined;
      throw new Error(`${OWNER}: ${path} can't be read: ${error.message}`);
    });
    if (text !== undefined) sections.push({ fields: await parse(text, path), folder: dirname(resolve(path)) });
  }
  if (sections.length > 0) return sections;
  throw new Error(
    `${OWNER}: there is no cluster to ask: this is no pod (KUBERNETES_SERVICE_HOST is not set), and there is no ${paths.join(", ")}; ` +
      "set the option server or kubeconfig",
  );
}

async function parse(text: string, path: string): Promise<Fields> {
  try {
    if (/^\s*\{/.test(text)) return fieldsOf(JSON.parse(text));
    const { parse: parseYaml } = await import("yaml").catch(() => {
      throw new Error("reading YAML needs the package yaml: npm install yaml");
    });
    return fieldsOf(parseYaml(text));
  } catch (error) {
    throw new Error(`${OWNER}: ${path} can't be used: ${(error as Error).message}`);
  }
}

function tlsOf(cluster: Section, user: Section): HttpTlsSettings {
  const authorities = pemOf(cluster, "certificate-authority");
  const certificate = pemOf(user, "client-certificate");
  const key = pemOf(user, "client-key");
  const serverName = textOf(cluster.fields["tls-server-name"]);
  return {
    ...(authorities === undefined ? {} : { authorities }),
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(serverName === "" ? {} : { serverName }),
    ...(cluster.fields["insecure-skip-tls-verify"] === true ? { dangerouslySkipVerification: true } : {}),
  };
}

/** A PEM as data in base64, or the path of its file. */
function pemOf({ fields, folder }: Section, name: string): Buffer | string | undefined {
  const data = textOf(fields[`${name}-data`]);
  if (data !== "") return Buffer.from(data, "base64");
  const path = textOf(fields[name]);
  return path === "" ? undefined : resolve(folder, path);
}

function tokenOf({ fields, folder }: Section, context: RegistryContext): TokenSource | undefined {
  const file = textOf(fields.tokenFile);
  if (file !== "") return fileToken(resolve(folder, file), context.clock);
  const token = textOf(fields.token);
  if (token !== "") return { get: async () => token, forget: () => undefined };
  if (fields["auth-provider"] !== undefined) {
    throw new Error(
      `${OWNER}: auth-provider has left Kubernetes with 1.26; use the exec plugin of your cloud in its place`,
    );
  }
  return fields.exec === undefined ? undefined : execToken(fieldsOf(fields.exec), folder, context);
}

/** A credential plugin (client-go credential plugins, ExecCredential v1 and v1beta1), such as `aws eks get-token`. */
function execToken(exec: Fields, folder: string, { clock, environment }: RegistryContext): TokenSource {
  const apiVersion = textOf(exec.apiVersion) || "client.authentication.k8s.io/v1";
  const name = textOf(exec.command);
  const command = name.includes("/") ? resolve(folder, name) : name;
  const args = Array.isArray(exec.args) ? exec.args.map(String) : [];
  const request = JSON.stringify({ apiVersion, kind: "ExecCredential", spec: { interactive: false } });
  const own = listOf(exec.env).map((each) => [textOf(each.name), textOf(each.value)]);
  const env = { ...environment, ...Object.fromEntries(own), KUBERNETES_EXEC_INFO: request };
  return cachedToken(clock, async () => {
    const { stdout } = await promisify(execFile)(command, args, {
      env,
      timeout: EXEC_TIMEOUT_MS,
      encoding: "utf8",
    }).catch((error: Error & { stderr?: string }) => {
      throw new Error(`${OWNER}: ${command} gives no token: ${(error.stderr?.trim() || error.message).slice(0, 300)}`);
    });
    return execAnswer(command, stdout);
  });
}

function execAnswer(command: string, stdout: string): { readonly token: string; readonly lifeMs: number } {
  let status: Fields;
  try {
    status = fieldsOf(fieldsOf(JSON.parse(stdout)).status);
  } catch {
    throw new Error(`${OWNER}: ${command} printed no ExecCredential`);
  }
  const token = textOf(status.token);
  if (token === "") throw new Error(`${OWNER}: ${command} gives no token; certificates from plugins are not supported`);
  return { token, lifeMs: EXEC_LIFE_MS };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
