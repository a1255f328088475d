import { createClient, createServer, HTTP2_LIMITS, type Service } from "bowline";
import { readText } from "../repository.ts";
import { type OptionDoc, optionDocs } from "./option-docs.ts";

/** The page that {@link limitsPage} makes. */
export const LIMITS_PAGE = "docs/guide/limits.md";

const SERVER = "packages/bowline/src/server/server-options.ts";
const CLIENT = "packages/bowline/src/client/client-options.ts";
const DISCOVERY = "packages/bowline/src/client/discovery/discovery-options.ts";
const HEALTH_CHECK = "packages/bowline/src/server/lifecycle/health-check.ts";
const RETRY = "packages/bowline/src/client/pipeline.ts";

/** Something that takes options with a number, and where these are documented. */
interface Taker {
  readonly file: string;
  readonly interfaceName: string;
  /** Before the names, `keepalive.`. */
  readonly prefix: string;
  /** Makes it with one option; throws for a number out of range. */
  make(option: Readonly<Record<string, number>>): unknown;
}

const NO_SERVICE: Service = { typeName: "none.v1.None", methods: {} };

/** Never comes to connecting: the number is out of range. */
const client = (options: object): unknown => createClient(NO_SERVICE, "127.0.0.1:1", options);

const SERVER_TAKERS: readonly Taker[] = [
  { file: SERVER, interfaceName: "ServerOptions", prefix: "", make: createServer },
  {
    file: SERVER,
    interfaceName: "ServerKeepaliveOptions",
    prefix: "keepalive.",
    make: (keepalive) => createServer({ keepalive }),
  },
  {
    file: HEALTH_CHECK,
    interfaceName: "HealthCheckOptions",
    prefix: "healthCheck.",
    make: (option) => createServer({ healthCheck: { check: () => true, ...option } }),
  },
];

const CLIENT_TAKERS: readonly Taker[] = [
  { file: CLIENT, interfaceName: "ClientOptions", prefix: "", make: client },
  { file: CLIENT, interfaceName: "KeepaliveOptions", prefix: "keepalive.", make: (keepalive) => client({ keepalive }) },
  {
    file: DISCOVERY,
    interfaceName: "ReconnectOptions",
    prefix: "reconnect.",
    make: (reconnect) => client({ reconnect }),
  },
  { file: RETRY, interfaceName: "RetryPolicy", prefix: "retry.", make: (retry) => client({ retry }) },
];

/** The guide's page about limits, from the doc comments of the options and the ranges that their errors name. */
export function limitsPage(): string {
  return [
    HEAD,
    "## Of a connection",
    OF_A_CONNECTION,
    table(["`limits.`", "default", "range", "unit", "what it bounds", "source"], http2Rows()),
    "## Of a server",
    table(["option", "default", "range", "what it does"], SERVER_TAKERS.flatMap(optionRows)),
    "## Of a client",
    table(["option", "default", "range", "what it does"], CLIENT_TAKERS.flatMap(optionRows)),
    EXAMPLE,
  ].join("\n\n");
}

function http2Rows(): string[][] {
  return Object.entries(HTTP2_LIMITS).map(([name, { default: value, min, max, unit, meaning, source }]) => [
    `\`${name}\``,
    grouped(value),
    `${grouped(min)} to ${grouped(max)}`,
    unit,
    meaning,
    source,
  ]);
}

function optionRows(taker: Taker): string[][] {
  const docs = optionDocs(readText(taker.file), taker.interfaceName).filter(({ type }) => type === "number");
  return docs.map((doc) => [`\`${taker.prefix}${doc.name}\``, doc.defaultValue, rangeOf(taker, doc), doc.meaning]);
}

/** Asks the product itself: what its error says is the range. */
function rangeOf({ interfaceName, make }: Taker, { name }: OptionDoc): string {
  try {
    make({ [name]: -1 });
  } catch (error) {
    const range = /from ([\d.]+) to (\w+)/.exec(error instanceof Error ? error.message : "");
    if (range === null) throw error;
    return range[2] === "Infinity" ? `from ${grouped(range[1])} on` : `${grouped(range[1])} to ${grouped(range[2])}`;
  }
  throw new Error(`${interfaceName}.${name} takes -1: a limit has a range`);
}

/** `65536` as `65,536`. */
function grouped(number: number | string): string {
  return Number(number).toLocaleString("en-US");
}

/** A table of Markdown, in columns that line up. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const lines = all.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

const HEAD = `<!-- Made by \`npm run generate\` from the doc comments of the options. Do not edit. -->

# Limits

Every buffer, queue and table that a peer feeds has a bound. A peer that passes one costs itself its stream or its connection, never
this process its memory or its time. The defaults suit services that trust each other a little; on a port that is open to the world,
lower \`maxConnections\` and \`maxConcurrentStreams\` first.

A number outside its range throws a \`RangeError\` when server or client are made; it names the option, the value and the range. An
unknown name throws a \`TypeError\`.`;

const OF_A_CONNECTION = `\`createServer({ limits: {…} })\` and \`createClient(…, { limits: {…} })\` take these; what is not named keeps its default.
\`HTTP2_LIMITS\` has them for programs.`;

const EXAMPLE = `## Seeing them at work

\`server.misbehaved\` counts how often clients passed a limit, and \`client.channel.misbehaved\` servers, by its name; so do frames and
messages against the rules, by the error code (\`PROTOCOL_ERROR\`) or the kind of mistake (\`undecodable-message\`). The log has a line
for the first of each kind in 10 s, and for ten of all; the rest is told as a number. Calls that were refused for a limit of this side have the reason \`limit\` ([errors](errors.md#reasons)), and their text names the option.

\`\`\`proto
// file: echo.proto
syntax = "proto3";
package echo.v1;

service Echo { rpc Say(Message) returns (Message); }
message Message { string text = 1; }
\`\`\`

\`\`\`ts run
// file: limits.ts
import { strict as assert } from "node:assert";
import { createClient, createServer, HTTP2_LIMITS } from "bowline";
import { Echo } from "./gen/echo_rpc.ts";

assert.equal(HTTP2_LIMITS.maxConcurrentStreams.default, 1024);
assert.throws(() => createServer({ limits: { maxConcurrentStreams: 0 } }), {
  name: "RangeError",
  message: "limits.maxConcurrentStreams is 0: give a whole number of streams from 1 to 1000000",
});

const server = createServer({ listen: "127.0.0.1:0", maxReceiveBytes: 100, limits: { maxHeaderListBytes: 2000 } });
server.add(Echo, { say: ({ text }) => ({ text }) });
await server.start();
const echo = createClient(Echo, server.address);

await assert.rejects(echo.say({ text: "x".repeat(200) }), {
  message: "[RESOURCE_EXHAUSTED] a message of 203 bytes is above the limit of 100 (maxReceiveBytes)",
});
await assert.rejects(
  echo.say({ text: "x" }, { metadata: { note: "x".repeat(3000) } }),
  /^RpcError: \\[RESOURCE_EXHAUSTED\\] metadata of about \\d+ bytes are above what the server takes \\(2000 with all headers\\)$/,
);

await echo.close();
await server.close();
\`\`\`
`;
