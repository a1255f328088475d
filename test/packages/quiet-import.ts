import { createHook } from "node:async_hooks";
// Makes a channel of its own when it is loaded; that is Node's doing.
import "node:dns";

/**
 * Imports what the arguments name and compares the process before and after. Differences go to stderr, and the exit code is 1.
 * Loads nothing else, so that it can be put beside the packages that it looks at.
 */
type Picture = Readonly<Record<string, readonly string[]>>;

/** Any import resolves promises and may read files; what else is made: timers, sockets, watchers, workers, processes. */
const OF_IMPORTS = /^(?:PROMISE|TickObject|Microtask|FSREQPROMISE|FSREQCALLBACK|FILEHANDLE\w*)$/;
const BUILT_IN: readonly object[] = [
  Object,
  Array,
  Function,
  Promise,
  Map,
  Set,
  Error,
  Uint8Array,
  String,
  Number,
  RegExp,
];

const made: string[] = [];
const hook = createHook({ init: (_id, type) => void (OF_IMPORTS.test(type) || made.push(type)) });
const before = picture();
hook.enable();
for (const specifier of process.argv.slice(2)) await import(specifier);
hook.disable();

const differences = differencesBetween(before, picture());
if (made.length > 0) differences.push(`made: ${made.join(", ")}`);
if (differences.length > 0) {
  console.error(differences.join("\n"));
  process.exitCode = 1;
}

function picture(): Picture {
  return {
    "active resources": process.getActiveResourcesInfo(),
    globals: keysOf(globalThis),
    "built-in objects": BUILT_IN.flatMap((each) => [...keysOf(each), ...keysOf(Object.getPrototypeOf(each))]),
    prototypes: BUILT_IN.flatMap((each) => keysOf((each as { prototype: object }).prototype)),
    "listeners on process": process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`),
    environment: Object.entries(process.env).map((entry) => entry.join("=")),
    process: [process.title, process.cwd(), `umask ${process.umask()}`, `exit code ${process.exitCode}`],
    "stack traces": [String(Error.prepareStackTrace), String(Error.stackTraceLimit)],
  };
}

function keysOf(object: object): string[] {
  return Reflect.ownKeys(object).map(String);
}

function differencesBetween(one: Picture, other: Picture): string[] {
  return Object.keys(one).flatMap((what) => {
    const [gone, come] = [without(one[what] ?? [], other[what] ?? []), without(other[what] ?? [], one[what] ?? [])];
    if (gone.length + come.length === 0) return [];
    return [
      `${what}: ${come.map((each) => `+ ${each}`).join(" ")} ${gone.map((each) => `- ${each}`).join(" ")}`.trim(),
    ];
  });
}

/** Those of `all` that are left when each of `taken` has taken one away. */
function without(all: readonly string[], taken: readonly string[]): string[] {
  const left = [...all];
  for (const each of taken) {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}
