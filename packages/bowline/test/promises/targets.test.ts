// What createClient makes of targets. How each is read, and what is wrong with others: src/registry/target.test.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openChannelCount } from "../../src/client/channel/channel-pool.ts";
import { createClient } from "../../src/client/create-client.ts";
import { Code } from "../../src/rpc/code.ts";
import { useScene } from "../client/client-scene.ts";
import { NoteService } from "../client/note-service.ts";
import { failure } from "../client/outcomes.ts";
import { thrown } from "./refusals.ts";

const scene = useScene();

describe("a target", () => {
  it.each([
    ["127.0.0.1:PORT", "127.0.0.1:0"],
    ["localhost:PORT", "127.0.0.1:0"],
    ["LOCALHOST:PORT", "127.0.0.1:0"],
    ["static:///127.0.0.1:PORT", "127.0.0.1:0"],
    ["direct:///127.0.0.1:PORT", "127.0.0.1:0"],
    ["DNS:///localhost:PORT", "127.0.0.1:0"],
    ["[::1]:PORT", "[::1]:0"],
    ["[0:0::1]:PORT", "[::1]:0"],
    ["static:///[::1]:PORT", "[::1]:0"],
    ["dns:///[::1]:PORT", "[::1]:0"],
    ["static:///127.0.0.1:1,127.0.0.1:PORT", "127.0.0.1:0"],
  ])("%s reaches a server on %s", async (target, listen) => {
    const server = await scene.server({}, { listen });
    const client = scene.client(target.replace("PORT", String(server.port)));
    expect(await client.say("x", { waitForReady: true })).toBe("x");
  });

  it("unix: reaches a socket by its absolute and its relative path", async () => {
    const directory = mkdtempSync(join(tmpdir(), "bowline-"));
    scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, "a b.sock");
    await scene.server({}, { listen: `unix:${path}` });
    expect(await scene.client(`unix://${path.replace(" ", "%20")}`).say("x")).toBe("x");
    expect(await scene.client(`unix:${path.replace(" ", "%20")}`, { maxWaitingCalls: 7 }).say("x")).toBe("x");
  });

  it.each([
    ["", "the empty text (character 1) is empty"],
    ["user.rpc", "a bare service name needs a registry; give the client one, such as registry: local()"],
    ["localhost", "has no port; a port is required"],
    ["localhost:0", "a port is a number from 1 to 65535"],
    ["localhost:65536", "a port is a number from 1 to 65535"],
    ["localhost:grpc", "a port is a number from 1 to 65535"],
    ["localhost:", "has no port"],
    [":8080", "has no host before the colon"],
    ["::1:8080", "an IPv6 address without brackets and port"],
    ["[::1]", "has no port"],
    ["http://localhost:80", "is no scheme of a target; leave it out and write host:port"],
    ["ipv4:10.0.0.1:80", "Correct: "],
    ["xds:///user", "is a scheme that is not built in"],
    ["dnss:///a:1", "did you mean dns://?"],
    ["a:1,b:2", "a list of addresses needs the scheme static:///"],
    ["static:///", "is empty"],
    ["unix:", "is no path of a socket"],
    ["a b:80", "is a space, line break or control character"],
    ["user@host:80", "has a host that is no name"],
  ])("that can't be used throws a TypeError with the place and the way out, nothing is made: %j", (target, text) => {
    const before = openChannelCount();
    const message = thrown(() => createClient(NoteService, target));
    expect(message).toMatch(/^TypeError: target "/);
    expect(message).toContain(text);
    expect(openChannelCount()).toBe(before);
  });

  it.each([
    [
      "a Unix socket whose path is too long",
      `unix:///${"x".repeat(200)}`,
      "the path has 201 bytes, a Unix socket takes",
      "choose a shorter directory",
    ],
    ["a port where nobody listens", "127.0.0.1:1", "nothing listens on this port", "start the server or correct"],
    [
      "a socket that is not there",
      "unix:///no/such.sock",
      "there is no such socket file",
      "start the server or correct",
    ],
  ])(
    "that leads nowhere fails each call with UNAVAILABLE, not sent, with the way out: %s",
    async (_what, target, what, fix) => {
      const error = await failure(scene.client(target).say("x"));
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false, attempt: 0 });
      expect(error.text).toContain(what);
      expect(error.text).toContain(fix);
    },
  );
});
