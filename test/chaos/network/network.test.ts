import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child, PeerLine } from "../../peers/child.ts";
import type { Host } from "./host.ts";
import { sweepNamespaces } from "./namespaces.ts";
import { createNetwork, type Network } from "./network.ts";
import { networksMissing } from "./network-support.ts";
import { Subnet } from "./subnet.ts";

const TALKER = fileURLToPath(new URL("./talker.ts", import.meta.url));
const LEAVER = fileURLToPath(new URL("./leaver.ts", import.meta.url));
const PORT = 7000;
/** What must come in any case may take this long on a busy machine. */
const SOON = { timeout: 20_000 };

const missing = networksMissing({ installs: process.env.CI === "true" });
/** Namespaces need root and two programs: what is skipped without them says so in its name. */
const why = missing === undefined ? "" : ` (skipped: ${missing})`;
if (missing !== undefined) console.warn(`test/chaos/network is skipped: ${missing}`);

/** A program that tells who calls it, and asks others the same. */
async function talkOn(host: Host): Promise<Child> {
  const child = host.start({ command: process.execPath, args: [TALKER, "--listen", String(PORT)] });
  await child.next("ready");
  return child;
}

/** Whom the other side takes it for, or the code of an error. */
function ask(talker: Child, address: string, port: number = PORT): Promise<unknown> {
  return order(talker, { ask: { address, port }, patienceMs: 20_000 });
}

/** The same where nobody is expected to answer: `silence`. */
function askInVain(talker: Child, address: string): Promise<unknown> {
  return order(talker, { ask: { address, port: PORT }, patienceMs: 700 });
}

async function order(talker: Child, line: PeerLine): Promise<unknown> {
  const answered = talker.next("answer");
  talker.send(line);
  return (await answered).answer;
}

function namespacesOf(pid: number): readonly string[] {
  return readdirSync("/run/netns").filter((name) => name.startsWith(`bowline-${pid}-`));
}

describe("a subnet", () => {
  it("gives its addresses one by one, none twice", () => {
    const subnet = new Subnet("10.1.2.4/30", "br0");
    expect([subnet.take("10.1.2.5"), subnet.take()]).toEqual(["10.1.2.5", "10.1.2.6"]);
    expect(() => subnet.take()).toThrow("10.1.2.4/30 has no address left");
    expect(() => subnet.take("10.1.2.5")).toThrow("10.1.2.5 is taken");
    expect(() => subnet.take("10.1.2.9")).toThrow("10.1.2.9 is no address of 10.1.2.4/30");
  });

  it("is a range of IPv4", () => {
    for (const range of ["10.1.0.0", "10.1.0.0/31", "10.1.0/24", "fd00::/64", "10.1.0.300/24"]) {
      expect(() => new Subnet(range, "br0")).toThrow(`subnet is "${range}": give a range of IPv4`);
    }
  });
});

describe.skipIf(missing !== undefined)(`a network of namespaces${why}`, { timeout: 60_000 }, () => {
  let network: Network;
  beforeEach(() => {
    network = createNetwork();
  });
  afterEach(() => network[Symbol.asyncDispose]());

  it("connects the hosts of a subnet, and no others", async () => {
    const lan = network.subnet("10.1.0.0/24");
    const [a, b] = [network.host("a", lan), network.host("b", lan)];
    const elsewhere = network.host("elsewhere", network.subnet("10.2.0.0/24"));
    const talker = await talkOn(a);
    await talkOn(b);
    expect([a.address(), b.address()]).toEqual(["10.1.0.1", "10.1.0.2"]);
    expect(await ask(talker, b.address())).toBe(a.address());
    expect(await ask(talker, elsewhere.address())).toBe("ENETUNREACH");
  });

  it("drops what it is told to, one way or both, until that is undone", async () => {
    const [left, right] = [network.subnet("10.1.0.0/24"), network.subnet("10.2.0.0/24")];
    const router = network.router("router", [left, right]);
    const a = network.host("a", left, { gateway: router });
    const b = network.host("b", right, { gateway: router, address: "10.2.0.9" });
    const talker = await talkOn(a);
    await talkOn(b);
    expect(await ask(talker, "10.2.0.9")).toBe(a.address());
    for (const cut of [
      () => router.drop({ from: b.address() }),
      () => router.drop({ to: b.address() }),
      () => router.drop({ to: b.address(), toPort: PORT }),
      () => router.cutOff(b.address()),
    ]) {
      const heal = cut();
      expect(await askInVain(talker, b.address())).toBe("silence");
      heal();
      heal();
      expect(await ask(talker, b.address())).toBe(a.address());
    }
  });

  it("hides a private side behind NAT, and forwards a port to it", async () => {
    const [internet, home] = [network.subnet("203.0.113.0/24"), network.subnet("192.168.1.0/24")];
    const box = network.router("box", [internet, home]);
    box.masquerade(internet);
    box.shield(internet);
    const outside = network.host("outside", internet, { gateway: box });
    const inside = network.host("inside", home, { gateway: box });
    const [outsider, insider] = [await talkOn(outside), await talkOn(inside)];
    expect(await ask(insider, outside.address())).toBe(box.address(internet));
    expect(await askInVain(outsider, inside.address())).toBe("silence");
    const undo = box.forwardPort({ outside: internet, port: 8080, to: `${inside.address()}:${PORT}` });
    expect(await ask(outsider, box.address(internet), 8080)).toBe(outside.address());
    undo();
    expect(await ask(outsider, box.address(internet), 8080)).toBe("ECONNREFUSED");
  });

  it("rewrites an address that can't be reached to one that can", async () => {
    const [left, right] = [network.subnet("10.1.0.0/24"), network.subnet("10.2.0.0/24")];
    const router = network.router("router", [left, right]);
    const talker = await talkOn(network.host("a", left, { gateway: router }));
    const b = network.host("b", right, { gateway: router });
    await talkOn(b);
    expect(await ask(talker, "172.16.0.5")).toBe("ENETUNREACH");
    const undo = router.rewrite("172.16.0.5", b.address());
    expect(await ask(talker, "172.16.0.5")).toBe("10.1.0.2");
    undo();
    // The kernel says so to one address once a second at most.
    expect(["ENETUNREACH", "silence"]).toContain(await askInVain(talker, "172.16.0.5"));
  });

  it("forgets a silent connection without a word, and takes new ones", async () => {
    const [internet, home] = [network.subnet("203.0.113.0/24"), network.subnet("192.168.1.0/24")];
    const box = network.router("box", [internet, home]);
    box.masquerade(internet);
    box.forgetAfter(1);
    const outside = network.host("outside", internet);
    await talkOn(outside);
    const talker = await talkOn(network.host("inside", home, { gateway: box }));
    expect(await ask(talker, outside.address())).toBe(box.address(internet));
    expect(box.remembers(outside.address())).toBe(true);
    await expect.poll(() => box.remembers(outside.address()), SOON).toBe(false);
    expect(await order(talker, { patienceMs: 700 })).toBe("silence");
    expect(await ask(talker, outside.address())).toBe(box.address(internet));
  });

  it("runs programs to their end on a host", async () => {
    const host = network.host("a", network.subnet("10.1.0.0/24"));
    const args = ["-c", 'echo "$WHO"; ip -4 -o address show eth0; echo no >&2; exit 3'];
    const ended = await host.execute({ command: "sh", args, env: { WHO: "me" } });
    expect(ended).toMatchObject({
      exitCode: 3,
      stdout: expect.stringMatching(/^me\n.* 10\.1\.0\.1\/24 /),
      stderr: "no\n",
    });
    expect(await host.execute({ command: "true", args: [] })).toMatchObject({ exitCode: 0 });
  });

  it("refuses what it can't do", () => {
    const lan = network.subnet("10.1.0.0/24");
    const host = network.host("a", lan);
    const other = network.router("other", network.subnet("10.2.0.0/24"));
    expect(() => network.host("a", lan)).toThrow("there is a host a already");
    expect(() => network.host("A b", lan)).toThrow('a host\'s name is "A b"');
    expect(() => network.host("b", lan, { gateway: other })).toThrow("b has no subnet in common with other");
    expect(() => host.address(network.subnet("10.3.0.0/24"))).toThrow("a is not attached to 10.3.0.0/24");
    expect(() => host.run("cat", "/no/such/file")).toThrow(/cat \/no\/such\/file ended with 1: .*No such file/);
    expect(() => other.forgetAfter(0.5)).toThrow("seconds is 0.5");
  });

  it("leaves nothing behind when it is closed", async () => {
    const host = network.host("a", network.subnet("10.1.0.0/24"));
    await talkOn(host);
    expect(namespacesOf(process.pid)).toHaveLength(2);
    await network[Symbol.asyncDispose]();
    expect(namespacesOf(process.pid)).toEqual([]);
    expect(() => network.subnet("10.2.0.0/24")).toThrow("the network has been removed");
  });
});

describe.skipIf(missing !== undefined)(`the end of a process that has a network${why}`, { timeout: 60_000 }, () => {
  it.each(["SIGINT", "SIGTERM", "exception"] as const)("removes it: %s", async (way) => {
    const { pid } = await leave(way);
    expect(namespacesOf(pid)).toEqual([]);
  });

  it("by SIGKILL leaves it to whoever makes the next one, programs that run in it among that", async () => {
    const { pid, inside } = await leave("SIGKILL");
    expect(namespacesOf(pid)).toHaveLength(2);
    expect(sweepNamespaces()).toEqual(expect.arrayContaining([expect.stringContaining(`bowline-${pid}-`)]));
    expect(namespacesOf(pid)).toEqual([]);
    await expect.poll(() => isRunning(inside), SOON).toBe(false);
  });
});

/** Starts a process that makes a network with a program in it, and has it end in this way. */
async function leave(way: NodeJS.Signals | "exception"): Promise<{ readonly pid: number; readonly inside: number }> {
  const leaver = spawn(process.execPath, [LEAVER], { stdio: ["pipe", "pipe", "ignore"] });
  const [line] = (await once(createInterface({ input: leaver.stdout }), "line")) as [string];
  const exited = once(leaver, "exit");
  if (way === "exception") leaver.stdin.write("throw\n");
  else leaver.kill(way);
  await exited;
  return { pid: leaver.pid ?? 0, inside: Number((JSON.parse(line) as { inside: number }).inside) };
}

/** Nobody may be there to bury it: a process that is dead and still listed has no command line. */
function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
}
