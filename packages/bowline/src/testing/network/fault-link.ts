import type { LineControl, LineFaults } from "../link-line.ts";
import type { MemoryLink } from "../memory-link.ts";

/** A connection of a memory network, in a test's hands. */
export class FaultLink {
  /** Where the server listens. */
  readonly address: string;
  /** What the server sees as its peer's address. */
  readonly clientAddress: string;
  /** The way of requests. */
  readonly toServer: LineControl;
  /** The way of answers. */
  readonly toClient: LineControl;
  /** Resolves when both ends are closed. */
  readonly closed: Promise<void>;
  readonly #client: MemoryLink;
  readonly #server: MemoryLink;

  /** Made by the network. */
  constructor(address: string, client: MemoryLink, server: MemoryLink) {
    this.address = address;
    this.clientAddress = client.peer.localAddress;
    this.toServer = client.line;
    this.toClient = server.line;
    this.#client = client;
    this.#server = server;
    this.closed = Promise.all([client.closed, server.closed]).then(() => {});
  }

  /** True until both ends are closed. */
  get isOpen(): boolean {
    return !this.#client.isClosed || !this.#server.isClosed;
  }

  /** Time from a write to its arrival, in ms; both ways. A round trip takes twice as long. */
  get delayMs(): number {
    return Math.max(this.toServer.delayMs, this.toClient.delayMs);
  }

  set delayMs(delayMs: number) {
    this.set({ delayMs });
  }

  /** Changes the faults that are given, both ways; see `toServer` and `toClient` for one. */
  set(faults: LineFaults): void {
    this.toServer.set(faults);
    this.toClient.set(faults);
  }

  /** Holds up everything both ways, without a word to either end: the other process hangs, or the network is gone. */
  freeze(): void {
    this.toServer.freeze();
    this.toClient.freeze();
  }

  /** Ends `freeze`: what was held up goes on, nothing is lost. */
  thaw(): void {
    this.toServer.thaw();
    this.toClient.thaw();
  }

  /** As `freeze`, for a network that knows nothing of what a test has frozen: until `release` by the same. */
  hold(by: object): void {
    this.#client.hold(by);
    this.#server.hold(by);
  }

  /** Ends `hold` by the same. */
  release(by: object): void {
    this.#client.release(by);
    this.#server.release(by);
  }

  /** Breaks the link: both ends hear it at once, as ECONNRESET; bytes under way are lost. */
  reset(): void {
    this.#client.reset();
  }

  /**
   * Leaves the link half open: `side` is gone (it hears ETIMEDOUT), the other end is never told, as when a machine loses
   * its power or a firewall forgets a connection.
   */
  lose(side: "client" | "server"): void {
    if (side === "client") this.#client.vanish();
    else this.#server.vanish();
  }
}
