import { createServer, local, type Server, type ServerOptions, silentLogger } from "bowline";
import { afterEach, describe, expect, it } from "vitest";
import { recorder } from "../../test/recorder.ts";
import { runDoctor } from "./doctor/doctor.ts";
import { runList } from "./list/list.ts";
import { runWatch } from "./watch/watch.ts";

const FLAGS = { timeout: 5_000 } as const;
const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A server in the embedded registry that advertises something else than it listens on; its target and port. */
async function served(advertise: ServerOptions["advertise"]): Promise<{ name: string; port: string }> {
  const name = `reach-${process.pid}-${servers.length}-${Math.random().toString(36).slice(2)}.rpc`;
  const options = { name, registry: local(), logger: silentLogger, selfCheck: false, listen: "127.0.0.1:0", advertise };
  const server = createServer(options);
  servers.push(server);
  await server.start();
  return { name, port: server.address.split(":")[1] };
}

const LABELLED = [
  { network: "inside", address: "stock.invalid" },
  { network: "public", address: "127.0.0.1" },
];

describe("bowline doctor for a certain client", () => {
  it("tries the address that this client takes, and says why it is that one", async () => {
    const { name, port } = await served(LABELLED);
    const terminal = recorder();
    await runDoctor(name, { ...FLAGS, network: ["public", "inside"] }, terminal);
    expect(terminal.out).toContain(`✓ 127.0.0.1:${port} (public)`);
    expect(terminal.out).toContain(`taken for its network public; it also has inside=stock.invalid:${port}\n     tcp`);
    expect(terminal.out).not.toContain("ENOTFOUND");
  });

  it("dials what its rules put in place of that, and names the rule", async () => {
    const { name, port } = await served("stock.invalid");
    const terminal = recorder();
    await runDoctor(name, { ...FLAGS, rewrite: ["stock.invalid=127.0.0.1"] }, terminal);
    expect(terminal.out).toContain(`✓ 127.0.0.1:${port}  `);
    expect(terminal.out).toContain(`rewritten from stock.invalid:${port} by --rewrite stock.invalid=127.0.0.1\n`);
    const astray = recorder();
    const rule = "stock.invalid=other.invalid:1";
    await expect(runDoctor(name, { ...FLAGS, rewrite: [rule] }, astray)).rejects.toThrow("1 of 1 addresses");
    expect(astray.out).toMatch(
      /✗ other\.invalid:1 [\s\S]*the name in other\.invalid:1 does not resolve \(E\w+\), and that is where the rule stock/,
    );
    expect(astray.out).toContain("change the rule");
  });

  it("names an instance that has no address for it, and the settings that mend that", async () => {
    const { name, port } = await served(LABELLED);
    const terminal = recorder();
    const flags = { ...FLAGS, network: ["vpc-c"] };
    await expect(runDoctor(name, flags, terminal)).rejects.toThrow("1 of 1 instances can't be used as they are");
    expect(terminal.out).toMatch(new RegExp(`✗ ${name}`));
    expect(terminal.out).toContain(
      `no address for a client in vpc-c; it has inside=stock.invalid:${port}, public=127.0.0.1:${port}`,
    );
    expect(terminal.out).toContain('networks: ["vpc-c", "inside"]');
    expect(terminal.out).toContain('advertise: [{ network: "vpc-c", address: "HOST:PORT" }, …]');
  });

  it("tells all of it as JSON", async () => {
    const { name, port } = await served(LABELLED);
    const terminal = recorder();
    const rewrite = ["127.0.0.0/8=localhost"];
    await runDoctor(name, { ...FLAGS, json: true, network: ["public"], rewrite }, terminal);
    const told = { address: `127.0.0.1:${port}`, network: "public" };
    expect(JSON.parse(terminal.out).addresses).toMatchObject([
      { address: `localhost:${port}`, network: "public", reach: { told, rewrite: rewrite[0] }, diagnosis: null },
    ]);
  });

  it("without flags tries all addresses, and says which one such a client takes", async () => {
    const { name, port } = await served(LABELLED.toReversed());
    const terminal = recorder();
    await expect(runDoctor(name, FLAGS, terminal)).rejects.toThrow("1 of 2 addresses");
    expect(terminal.out).toMatch(new RegExp(`✓ 127.0.0.1:${port} \\(public\\).*\\n +taken as the first`));
    expect(terminal.out).toMatch(/✗ stock\.invalid:\d+ \(inside\).*\n +not taken by a client that names no networks\n/);
  });

  it("refuses flags that the client refuses before it asks anybody", async () => {
    const terminal = recorder();
    await expect(runDoctor("nobody.rpc", { ...FLAGS, rewrite: ["nix"] }, terminal)).rejects.toMatchObject({
      message: "--rewrite nix is no rule",
      hint: expect.stringContaining("from=to"),
    });
    await expect(runList(["nobody.rpc"], { ...FLAGS, network: [""] }, terminal)).rejects.toThrow('--network is ""');
    expect(terminal.out).toBe("");
  });
});

describe("bowline ls and watch for a certain client", () => {
  it("list where it goes, and ask there for health", async () => {
    const { name, port } = await served(LABELLED);
    const terminal = recorder();
    await runList([name], { ...FLAGS, network: ["public"] }, terminal);
    expect(terminal.out).toMatch(new RegExp(` public=127\\.0\\.0\\.1:${port} .* SERVING `));
    const none = recorder();
    await runList([name], { ...FLAGS, network: ["vpc-c"], json: true }, none);
    expect(JSON.parse(none.out)).toMatchObject([{ target: name, reach: null, health: "no address" }]);
  });

  it("print it with each change", async () => {
    const { name, port } = await served("stock.invalid");
    const terminal = recorder();
    const controller = new AbortController();
    const watching = runWatch(name, { rewrite: ["stock.invalid=127.0.0.1"] }, terminal, controller.signal);
    await terminal.seen(`+ 127.0.0.1:${port} for stock.invalid:${port}  ready, weight 1`);
    controller.abort();
    await watching;
  });
});
