import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { eventually, outcomes } from "../../test/client/outcomes.ts";
import { local } from "../registry/local/local.ts";
import type { RegistryConfig } from "../registry/registry-config.ts";

const scene = useScene();

/** A registry that nobody else uses. */
function ownRegistry(): RegistryConfig {
  const directory = mkdtempSync(join(tmpdir(), "bowline-"));
  scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
  return local({ directory });
}

describe("servers in the local registry", () => {
  it("are found by name, and come and go under load without a failed call", async () => {
    const registry = ownRegistry();
    const options = { name: "notes", registry, drainTimeoutMs: 5000, drainAcceptMs: 600 };
    const say = async (text: string): Promise<string> => {
      await new Promise((resolve) => setImmediate(resolve));
      return text;
    };
    const first = await scene.server({ say }, options);
    const client = scene.client("local:///notes", { registry });
    expect(await client.say("hello")).toBe("hello");

    let isRunning = true;
    const ended: string[] = [];
    const caller = async (): Promise<void> => {
      while (isRunning) ended.push(...(await outcomes([client.say("x")])));
    };
    const callers = Array.from({ length: 10 }, caller);
    const second = await scene.server({ say }, options);
    await eventually(() => second.stats[0].started > 100);
    await first.close();
    const { length } = ended;
    await eventually(() => ended.length > length + 100);
    isRunning = false;
    await Promise.all(callers);
    expect(ended.filter((outcome) => outcome !== "x")).toEqual([]);
    expect(client.channel.endpoints).toHaveLength(1);
    expect(first.stats[0].started).toBeGreaterThan(100);
  });

  it("are waited for by who wants to", async () => {
    const registry = ownRegistry();
    const client = scene.client("notes", { registry });
    const waiting = client.say("x", { waitForReady: true });
    await scene.server({}, { name: "notes", registry });
    expect(await waiting).toBe("x");
  });
});
