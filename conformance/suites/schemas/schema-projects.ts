import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import type { ToolName } from "../../harness/tools.ts";

/** What `bowline generate` is given. */
export interface ProtoSelection {
  /** Of the part, where a project is generated from in parts. */
  readonly name?: string;
  readonly paths: readonly string[];
  readonly include: readonly string[];
}

/** The .proto files of a public project. */
export interface SchemaProject {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  readonly protos: ToolName;
  /** Types of messages, and two steps before them in each part: a run with fewer has failed. */
  readonly cases: number;
  /** True: run only when it is named. */
  readonly isOptional?: boolean;
  /** What of the installed folder is taken, in one part or in many. */
  select(folder: string): readonly ProtoSelection[];
}

/** Of googleapis: what other APIs are made of, and APIs of many kinds. */
const GOOGLE_FOLDERS: readonly string[] = [
  "api",
  "bigtable",
  "cloud/aiplatform/v1",
  "cloud/bigquery",
  "container",
  "datastore",
  "firestore",
  "iam",
  "logging",
  "longrunning",
  "monitoring",
  "pubsub",
  "rpc",
  "spanner",
  "storage",
  "type",
];

/**
 * Left out of all of googleapis: tests and options of protobuf itself, which are no API; earlier releases of the API of Google Ads; and Compute
 * Engine, whose 2,000 messages in one file keep protoc-gen-es busy for minutes.
 */
const LEFT_OUT: readonly string[] = [
  "google/ads/googleads/v22",
  "google/ads/googleads/v23",
  "google/ads/googleads/v24",
  "google/cloud/compute/v1",
  "google/cloud/compute/v1beta",
  "google/protobuf",
];

const FILES_A_PART = 300;

/** The projects whose schemas are generated from. */
export const PROJECTS: readonly SchemaProject[] = [
  {
    name: "etcd",
    about: "etcd's API: generated code, its types, every message there and back",
    protos: "etcd-protos",
    cases: 140,
    select: (folder) => {
      // raft_internal.proto imports its neighbours by their bare names.
      const include = [join(folder, "etcd/api/etcdserverpb"), folder];
      return [{ paths: [join(folder, "etcd/api/etcdserverpb")], include }];
    },
  },
  {
    name: "envoy",
    about: "Envoy's xDS API: generated code, its types, every message there and back",
    protos: "envoy-protos",
    cases: 1275,
    select: selectEnvoy,
  },
  {
    name: "googleapis",
    about: `googleapis, ${GOOGLE_FOLDERS.length} folders of it: generated code, its types, every message there and back`,
    protos: "googleapis-protos",
    cases: 4912,
    select: (folder) => [{ paths: GOOGLE_FOLDERS.map((each) => join(folder, "google", each)), include: [folder] }],
  },
  {
    name: "googleapis-all",
    about: "googleapis, all of it but Compute Engine and earlier releases of Google Ads: the same in 16 parts",
    protos: "googleapis-protos",
    cases: 39_788,
    isOptional: true,
    select: selectGoogle,
  },
];

/** Neighbours together: a compiler has no memory for all of it at once. */
function selectGoogle(folder: string): readonly ProtoSelection[] {
  const isTaken = (path: string): boolean => !LEFT_OUT.some((each) => path.startsWith(`${each}/`));
  const paths = protosBelow(folder).filter(isTaken).sort();
  return Array.from({ length: Math.ceil(paths.length / FILES_A_PART) }, (_, at) => {
    const part = paths.slice(at * FILES_A_PART, (at + 1) * FILES_A_PART);
    return { name: `part ${at + 1}`, paths: part.map((path) => join(folder, path)), include: [folder] };
  });
}

/** All of the package's files but those that need others which it has not: the core of Envoy's API v2, and OpenTelemetry. */
function selectEnvoy(folder: string): readonly ProtoSelection[] {
  const api = join(folder, "envoy-api");
  const include = [
    api,
    ...["googleapis", "opencensus", "prometheus", "validate", "xds"].map((each) => join(folder, each)),
  ];
  const isWhole = new Map<string, boolean>();
  const check = (importPath: string): boolean => {
    const before = isWhole.get(importPath);
    if (before !== undefined) return before;
    const root = include.find((each) => existsSync(join(each, importPath)));
    if (root === undefined) return importPath.startsWith("google/protobuf/");
    // Asked for only in a cycle of imports, which the compiler refuses.
    isWhole.set(importPath, true);
    isWhole.set(importPath, importsOf(join(root, importPath)).every(check));
    return isWhole.get(importPath) === true;
  };
  const paths = protosBelow(api).filter(check);
  return [{ paths: paths.map((path) => join(api, path)), include }];
}

function importsOf(file: string): string[] {
  const imports = readFileSync(file, "utf8").matchAll(/^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"/gm);
  return [...imports].map(([, path]) => path);
}

/** Relative to `folder`, with `/`. */
function protosBelow(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => path.endsWith(".proto")).map((path) => path.replaceAll(sep, "/"));
}
