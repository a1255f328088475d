import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { AttackedServer } from "./attacked-server.ts";
import { Caller } from "./caller.ts";
import type { Form, Row, ServerRow } from "./row.ts";

const WARM_UP_CALLS = 200;
/** Calls at full speed before memory is first looked at: what a process takes once it is busy, it keeps. */
const BURST_CALLS = 8000;
/** The certificate of the tests names localhost. */
const HONEST_TLS = {
  authority: "localhost",
  tls: { authorities: fileURLToPath(new URL("../../packages/bowline/test/certs/authority.crt", import.meta.url)) },
};

/** A server and an honest client that calls it, each in a process of its own. */
export class Arena implements AsyncDisposable {
  readonly server: AttackedServer;
  readonly caller: Caller;

  private constructor(server: AttackedServer, caller: Caller) {
    this.server = server;
    this.caller = caller;
  }

  /** Starts both, with what the row needs, and waits until honest calls are under way. */
  static async start(form: Form, row?: Row): Promise<Arena> {
    const { options, maxDescriptors, isOverTls }: Partial<ServerRow> = row?.role === "server" ? row : {};
    const server = await AttackedServer.start(options, maxDescriptors);
    const caller = await Caller.start();
    caller.startLoad(server.address, isOverTls ? HONEST_TLS : {});
    if (form.settleMs > 0) await caller.burst(BURST_CALLS);
    for (let calls = 0; calls < WARM_UP_CALLS; await delay(20)) {
      const mark = await caller.mark();
      if (mark.failed > 0) throw new Error(`honest calls fail without any attack: ${mark.failures[0]}`);
      calls += mark.ok;
    }
    return new Arena(server, caller);
  }

  /** True when the row can do with a server that has only the defaults. */
  static isFor(row: Row): boolean {
    return row.role === "client" || (row.options === undefined && row.maxDescriptors === undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caller[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
