// Servers of the text service in a process of their own, for tests of signals: node signal-process.ts [servers] [options as JSON]
// Prints their addresses as a line of JSON: when all have started, or with the option `hang` when the last one is asked whether it is
// ready, which it never will be.
import { createServer } from "../../src/server/create-server.ts";
import { echo, TextService } from "./text-service.ts";

const count = Number(process.argv[2] ?? 1);
const { hang = false, ...options } = JSON.parse(process.argv[3] ?? "{}") as Record<string, unknown>;

/** Something that nobody closes: a process that ends by itself only would run for ever. */
setInterval(() => {}, 60_000);

function report(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function neverReady(): Promise<void> {
  reportAddresses();
  return new Promise(() => {});
}

function reportAddresses(): void {
  report(servers.map((server) => server.address));
}

const servers = Array.from({ length: count }, (_, index) =>
  createServer({
    listen: "127.0.0.1:0",
    ...(hang && index === count - 1 ? { ready: neverReady } : {}),
    ...options,
  }).add(TextService, {
    ...echo,
    /** `wait N` takes N ms, `hang` for ever. */
    say: (text) => {
      if (text === "hang") return new Promise(() => {});
      const ms = /^wait (\d+)$/.exec(text)?.[1];
      return ms === undefined ? text : new Promise((resolve) => setTimeout(() => resolve(text), Number(ms)));
    },
  }),
);
for (const server of servers) await server.start();
reportAddresses();
