import { describe, it } from "vitest";
import { networksMissing } from "../chaos/network/network-support.ts";
import { realRegistry } from "../registry/suite.ts";

/**
 * A suite in networks of namespaces with a real etcd: `define` gets the path of etcd. Where either can't be had the suite is one skipped
 * test whose name says why. `alsoMissing` says what the suite needs besides and is not there, once it is known that networks can be made.
 */
export async function networkSuite(
  name: string,
  define: (etcd: string) => void,
  alsoMissing: () => Promise<string | undefined> | string | undefined = () => undefined,
): Promise<void> {
  const missing = networksMissing({ installs: process.env.CI === "true" }) ?? (await alsoMissing());
  if (missing === undefined) return realRegistry(name, ["etcd-3.6"], ([etcd]) => define(etcd));
  console.warn(`${name} is skipped: ${missing}`);
  // One skipped test, whose name is the reason: a suite without tests would be a failure, and silence would be a lie.
  describe(name, () => it.skipIf(true)(missing, () => {}));
}
