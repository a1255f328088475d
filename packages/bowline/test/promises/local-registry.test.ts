// local() as a server's and a client's registry. Times (500 ms, 2 s, 15 s), leases, rights: src/registry/local/*.test.ts.
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { local } from "../../src/registry/local/local.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { useScene } from "../client/client-scene.ts";
import { eventually, failure } from "../client/outcomes.ts";
import { thrown, wrong } from "./refusals.ts";

const scene = useScene();

/** A directory of this test alone. */
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "bowline-"));
  scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe("local", () => {
  it.each([
    [null, "TypeError: local registry: give an object of options, not null"],
    ["staging", 'TypeError: local registry: give an object of options, not "staging"'],
    [{ namespce: "x" }, "TypeError: local registry.namespce is not an option; did you mean namespace?"],
    [{ dir: "/tmp" }, "TypeError: local registry.dir is not an option; known are directory, namespace"],
    [{ directory: "a/b" }, 'TypeError: local registry: directory: "a/b" is no absolute path; write it as'],
    [{ directory: 5 }, "TypeError: local registry: directory: 5 is no absolute path"],
    [{ directory: "/a\0b" }, "is no absolute path"],
    [{ namespace: "" }, 'TypeError: local registry: namespace: "" is no name; write it as "staging"'],
    [{ namespace: null }, "TypeError: local registry: namespace: null is no name"],
  ])("is told at once what is wrong with its options: %j", (options, text) => {
    expect(thrown(() => local(wrong(options)))).toContain(text);
  });

  it("touches no directory before the first registration or watch, then makes it", async () => {
    const directory = join(newDirectory(), "made", "here");
    const registry = local({ directory });
    const client = scene.client("notes", { registry });
    expect(existsSync(directory)).toBe(false);
    const server = await scene.server({}, { name: "notes", registry });
    expect(readdirSync(directory)).toEqual(["default"]);
    expect(await client.say("x", { waitForReady: true })).toBe("x");
    await server.close();
    expect(readdirSync(join(directory, "default", "notes"))).toEqual([]);
  });

  it("keeps namespaces apart", async () => {
    const directory = newDirectory();
    await scene.server({}, { name: "notes", registry: local({ directory, namespace: "staging" }) });
    const registry = local({ directory, namespace: "staging" });
    expect(await scene.client("notes", { registry }).say("x", { waitForReady: true })).toBe("x");
    const other = scene.client("notes", { registry: local({ directory }) });
    const error = await failure(other.say("x"));
    expect(error).toMatchObject({ reason: "no-endpoint", sent: false });
    expect(error.text).toContain("notes has no instances");
  });

  it("is meant by local:/// too, where the client has it", async () => {
    const registry = local({ directory: newDirectory() });
    const server = await scene.server({}, { name: "notes", registry });
    const client = scene.client("local:///notes", { registry });
    expect(await client.say("x", { waitForReady: true })).toBe("x");
    expect(client.channel.endpoints.map(({ address }) => address)).toEqual([server.address]);
  });

  it("refuses an id that a living instance has: the start rejects, says what to do, and the first one stays", async () => {
    const registry = local({ directory: newDirectory() });
    const options: ServerOptions = { name: "notes", registry, instanceId: "one" };
    await scene.server({}, options);
    await expect(scene.server({}, options)).rejects.toThrow(
      /^local registry: instance "one" of notes is registered by process \d+; each instance needs an id of its own/,
    );
    const client = scene.client("notes", { registry });
    expect(await client.say("x", { waitForReady: true })).toBe("x");
    expect(client.channel.endpoints).toHaveLength(1);
  });

  it("gives each server an id of its own, so that several of one name are all found", async () => {
    const registry = local({ directory: newDirectory() });
    const servers = await Promise.all([1, 2, 3].map(() => scene.server({}, { name: "notes", registry })));
    const client = scene.client("notes", { registry });
    await client.channel.connect();
    await eventually(() => client.channel.endpoints.length === 3);
    expect(client.channel.endpoints.map(({ address }) => address).sort()).toEqual(
      servers.map(({ address }) => address).sort(),
    );
  });
});
