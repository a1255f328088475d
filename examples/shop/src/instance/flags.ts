import { join } from "node:path";
import { parseArgs } from "node:util";

/** How an instance was started. */
export interface Flags {
  /** What this instance is called, `order-2`; unique in its namespace. */
  readonly name: string;
  /** Instances of one namespace find each other. */
  readonly namespace: string;
  /** Where they do: see `openRegistry`. */
  readonly registry: string;
  readonly listen: string;
  /** Where the instances of this service share their state; undefined keeps it in this process. */
  readonly journalFolder: string | undefined;
  /** Where clients keep what they know of others; undefined: where Bowline keeps it. */
  readonly snapshotFolder: string | undefined;
  /** What each call takes longer than it would, in ms. */
  readonly workMs: number;
}

const HELP = `Options:
  --name NAME         what this instance is called (default: the service and the process id)
  --namespace NAME    instances of one namespace find each other (default: shop)
  --registry WHERE    where they do: local, etcd://host:port, consul://, nacos://, eureka:// (default: local)
  --listen ADDRESS    host:port; port 0 takes any free one (default: 127.0.0.1:0)
  --data FOLDER       where instances of a service share their state (default: each one keeps its own)
  --work-ms TIME      what each call takes longer than it would, as if there were a database (default: 0)`;

/** Reads the command line of an instance of `service`; ends the process when there is something wrong with it. */
export function readFlags(service: string): Flags {
  try {
    const { values } = parseArgs({
      options: {
        name: { type: "string", default: `${service}-${process.pid}` },
        namespace: { type: "string", default: "shop" },
        registry: { type: "string", default: "local" },
        listen: { type: "string", default: "127.0.0.1:0" },
        data: { type: "string" },
        "work-ms": { type: "string", default: "0" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (!values.help) {
      const { name, namespace, registry, listen, data } = values;
      const workMs = Number(values["work-ms"]);
      if (!(workMs >= 0 && workMs <= 10_000))
        throw new RangeError(`--work-ms is ${values["work-ms"]}: give 0 to 10000`);
      const journalFolder = data === undefined ? undefined : join(data, service);
      const snapshotFolder = data === undefined ? undefined : join(data, "snapshots");
      return { name, namespace, registry, listen, journalFolder, snapshotFolder, workMs };
    }
    console.log(HELP);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
