import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Chance } from "../../codec/chance.ts";
import { CLEAR, type Conditions, checkConditions } from "./conditions.ts";
import { Lane } from "./lane.ts";

/** Connections that a proxy has at most; more are reset. */
const MAX_CONNECTIONS = 2000;

/** What a proxy is made with. */
export interface ProxyOptions {
  /** Where connections lead, `host:port`. */
  readonly target: string;
  /** Host to listen on; the port is any that is free. Default 127.0.0.1. */
  readonly host?: string;
  /** What chance decides, it decides the same way for the same seed and the same bytes. */
  readonly seed: number;
}

/** Conditions of both directions, or of one. */
export interface LinkConditions {
  /** From who connects to the target. */
  readonly up?: Partial<Conditions>;
  /** From the target back. */
  readonly down?: Partial<Conditions>;
}

/** What a proxy has counted. */
export interface ProxyCounts {
  readonly open: number;
  readonly accepted: number;
  /** Connections that `reset` has ended. */
  readonly reset: number;
  readonly passedBytes: number;
  readonly swallowedBytes: number;
}

/** A connection through the proxy. */
interface Link {
  readonly near: Socket;
  readonly far: Socket;
  readonly up: Lane;
  readonly down: Lane;
}

/** A TCP proxy that stands for a bad link, which may change at any time. */
export class LinkProxy implements AsyncDisposable {
  /** Where it listens, `host:port`. */
  readonly address: string;
  readonly #server: Server;
  readonly #host: string;
  readonly #port: number;
  readonly #chance: Chance;
  readonly #links: Set<Link> = new Set();
  #up: Conditions = CLEAR;
  #down: Conditions = CLEAR;
  #isRefusing = false;
  #accepted = 0;
  #reset = 0;
  /** Of links that are gone. */
  #passedBytes = 0;
  #swallowedBytes = 0;

  /** Use {@link createProxy}. */
  constructor(server: Server, { target, seed }: ProxyOptions) {
    const { address, port } = server.address() as AddressInfo;
    const colon = target.lastIndexOf(":");
    this.address = `${address}:${port}`;
    this.#server = server;
    this.#host = target.slice(0, colon);
    this.#port = Number(target.slice(colon + 1));
    this.#chance = new Chance(seed);
    server.on("connection", (near) => this.#accept(near));
  }

  /**
   * Changes the link, those connections that stand included; what is not named is clear.
   *
   * @throws RangeError for a condition outside its range
   */
  set({ up = {}, down = {} }: LinkConditions): void {
    const [changedUp, changedDown] = [
      { ...CLEAR, ...up },
      { ...CLEAR, ...down },
    ];
    checkConditions(changedUp);
    checkConditions(changedDown);
    this.#up = changedUp;
    this.#down = changedDown;
    for (const link of this.#links) {
      link.up.set(changedUp);
      link.down.set(changedDown);
    }
  }

  /** The same conditions both ways. */
  setBoth(conditions: Partial<Conditions>): void {
    this.set({ up: conditions, down: conditions });
  }

  /** Ends all connections with RST, both ways. Returns how many. */
  reset(): number {
    const { size } = this.#links;
    for (const link of [...this.#links]) this.#drop(link);
    this.#reset += size;
    return size;
  }

  /** True: new connections are reset as soon as they are made. */
  refuse(isRefusing: boolean): void {
    this.#isRefusing = isRefusing;
  }

  /** What it has counted since its start. */
  get counts(): ProxyCounts {
    const sum = (of: "passedBytes" | "swallowedBytes"): number =>
      [...this.#links].reduce((total, { up, down }) => total + up[of] + down[of], 0);
    return {
      open: this.#links.size,
      accepted: this.#accepted,
      reset: this.#reset,
      passedBytes: this.#passedBytes + sum("passedBytes"),
      swallowedBytes: this.#swallowedBytes + sum("swallowedBytes"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #accept(near: Socket): void {
    near.on("error", () => {}); // `close` follows
    if (this.#isRefusing || this.#links.size >= MAX_CONNECTIONS) {
      near.resetAndDestroy();
      return;
    }
    this.#accepted++;
    const far = connect({ host: this.#host, port: this.#port, allowHalfOpen: true, noDelay: true });
    far.on("error", () => {});
    const link: Link = {
      near,
      far,
      up: new Lane(near, far, this.#up, new Chance(this.#chance.seed())),
      down: new Lane(far, near, this.#down, new Chance(this.#chance.seed())),
    };
    this.#links.add(link);
    near.on("close", (hadError) => this.#closed(link, hadError, link.up));
    far.on("close", (hadError) => this.#closed(link, hadError, link.down));
  }

  /** A side is gone. After an error the other one goes, too, unless it must not hear of it; an end in order goes through the lane. */
  #closed(link: Link, hadError: boolean, lane: Lane): void {
    const isOver = link.near.destroyed && link.far.destroyed;
    if (isOver || (hadError && !lane.isSwallowing)) this.#drop(link);
  }

  #drop(link: Link): void {
    if (!this.#links.delete(link)) return;
    for (const lane of [link.up, link.down]) {
      lane.close();
      this.#passedBytes += lane.passedBytes;
      this.#swallowedBytes += lane.swallowedBytes;
    }
    for (const socket of [link.near, link.far]) {
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  }
}

/** Listens, and passes each connection on to the target; clear until it is told otherwise. */
export async function createProxy(options: ProxyOptions): Promise<LinkProxy> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  return new LinkProxy(server, options);
}
