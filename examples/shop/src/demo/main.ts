// The demo: all services of the shop, the calls of many customers, and a table that shows how it goes.
import { parseArgs } from "node:util";
import { openRegistry } from "../instance/registry.ts";

const HELP = `npm run demo [-- OPTIONS]

Starts the shop, seven processes that find each other, sends customers in, and shows how it goes. Break it with the keys below the table.

  --rate CALLS     calls a second at the start, 10 to 20000 (default: 1000; 300 with --headless)
  --registry WHERE local: the embedded one (default); etcd: a real etcd, started and stopped with the shop; or one that
                   runs already: etcd://, consul://, nacos:// or eureka:// with host:port
  --headless       no table: breaks the shop in four ways by itself, and says whether it has held (exit code 0 or 1)
  --seconds TIME   how long that takes, 25 to 600 (default: 30)
  --json           with --headless: nothing but the report, as one line of JSON
  -h, --help       this`;

const flags = await readFlags();
if (flags.isHeadless) {
  const { runHeadless } = await import("./headless/run-headless.ts");
  process.exit(await runHeadless({ ...flags, rate: flags.rate ?? 300 }));
}
const { runLive } = await import("./live/run-live.ts");
const { stdin: input, stdout: output, env } = process;
const hasColours = (env.NO_COLOR ?? "") === "";
process.exit(await runLive({ input, output, rate: flags.rate ?? 1000, registry: flags.registry, hasColours }));

async function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        rate: { type: "string" },
        registry: { type: "string", default: "local" },
        headless: { type: "boolean", default: false },
        seconds: { type: "string", default: "30" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const { headless, json } = values;
    const { registry } = values;
    // It is opened by who needs it; here it has to be one.
    if (registry !== "etcd") await openRegistry(registry, "shop");
    const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
    if (!headless && !isTerminal) console.error("This is no terminal: running as with --headless.");
    const rate = values.rate === undefined ? undefined : numberIn("--rate", values.rate, 10, 20_000);
    const isHeadless = headless || !isTerminal;
    return { isHeadless, rate, registry, seconds: numberIn("--seconds", values.seconds, 25, 600), json };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

function numberIn(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new RangeError(`${flag} is ${JSON.stringify(text)}: give a number from ${least} to ${most}`);
}
