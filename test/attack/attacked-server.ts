import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { PREFACE, RawPeer, rawSettings } from "bowline/testing";
import { Child, type PeerLine } from "../peers/child.ts";
import { residentBytes } from "../peers/process-usage.ts";
import { clearPeak, loopCpuMs, openDescriptors, peakOf } from "./process-facts.ts";
import type { Misdeeds } from "./reason-verdict.ts";

/** What the server has counted since it was last asked to begin anew; `running` and misdeeds since its start. */
export interface ServerReport extends Misdeeds {
  readonly started: number;
  readonly running: number;
  readonly mostRunning: number;
  readonly cancelled: number;
  readonly producedBytes: number;
  readonly mostPerTurn: number;
  readonly connections: number;
  /** The longest time that its event loop was held up. */
  readonly longestBlockMs: number;
}

type Settings = readonly (readonly [id: number, value: number])[];

const PROGRAM = fileURLToPath(new URL("./victims/server.ts", import.meta.url));

/** A Bowline server in a process of its own, and the connections of those who attack it. */
export class AttackedServer implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #child: Child;
  readonly #pid: number;
  readonly #sockets = new Set<Socket>();

  private constructor(child: Child, ready: PeerLine) {
    this.#child = child;
    this.address = String(ready.addr);
    this.port = Number(this.address.slice(this.address.lastIndexOf(":") + 1));
    this.#pid = Number(ready.pid);
  }

  /** Starts it; with `maxDescriptors` its process may open no more than these. */
  static async start(options: object = {}, maxDescriptors?: number): Promise<AttackedServer> {
    const args = ["--expose-gc", PROGRAM, "--options", JSON.stringify(options)];
    const limited = ["-c", `ulimit -n ${maxDescriptors}; exec "$0" "$@"`, process.execPath, ...args];
    const child = new Child(
      maxDescriptors === undefined ? { command: process.execPath, args } : { command: "sh", args: limited },
    );
    return new AttackedServer(child, await child.next("ready"));
  }

  /** A connection on which nothing was said yet. Errors are not thrown: the server's answer to an attack may be a reset. */
  async socket(): Promise<Socket> {
    const socket = connect({ port: this.port, host: "127.0.0.1", allowHalfOpen: true });
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    await once(socket, "connect");
    socket.on("error", () => {});
    return socket;
  }

  /** A connection after the handshake. */
  async open(settings?: Settings): Promise<RawPeer> {
    const peer = new RawPeer(await this.socket(), { role: "client", acknowledges: true, timeoutMs: 10_000 });
    await peer.handshake(settings);
    return peer;
  }

  /** A connection that has sent its preface and reads nothing from then on. */
  async openDeaf(settings?: Settings): Promise<Socket> {
    const socket = await this.socket();
    socket.pause();
    socket.write(Buffer.concat([PREFACE, rawSettings(settings), rawSettings().fill(1, 4, 5)]));
    return socket;
  }

  /** What was counted; `clear` begins anew. */
  async report(clear = false): Promise<ServerReport> {
    const line = this.#child.next("report");
    this.#child.send({ clear });
    const { report, longestBlockMs } = await line;
    return { ...(report as ServerReport), longestBlockMs: Number(longestBlockMs) };
  }

  /** What clients did wrong, since its start. */
  misdeeds(): Promise<Misdeeds> {
    return this.report();
  }

  /** Memory after a collection of garbage. */
  memory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
    return this.#child.memory();
  }

  /** Memory as it is. */
  get residentBytes(): number {
    return residentBytes(this.#pid) ?? Number.NaN;
  }

  /** What its RSS was at most during `work` above that before, in bytes; NaN where the system does not tell. */
  async peakDuring(work: () => Promise<void>): Promise<number> {
    const before = (await this.memory()).rssBytes;
    const isCleared = clearPeak(this.#pid);
    await work();
    return isCleared ? peakOf(this.#pid) - before : Number.NaN;
  }

  /** CPU time that the thread with its event loop has used, in ms; NaN where the system does not tell. */
  get loopCpuMs(): number {
    return loopCpuMs(this.#pid);
  }

  /** Descriptors that its process has open; NaN where the system does not tell. */
  get descriptors(): number {
    return openDescriptors(this.#pid);
  }

  /** Drops what is left of attackers' connections. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    await this.#child.stop();
  }
}
