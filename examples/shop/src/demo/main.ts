// The demo: all services of the shop, calls of many customers, and a table that shows how it goes.
import { parseArgs } from "node:util";
import { runHeadless } from "./headless/run-headless.ts";

const { values } = parseArgs({
  options: {
    headless: { type: "boolean", default: false },
    seconds: { type: "string" },
    rate: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
process.exit(await runHeadless({ seconds: Number(values.seconds ?? 30), rate: Number(values.rate ?? 300), json: values.json }));
