import type { Listener, ListenOptions } from "../../net/listener.ts";
import type { MemoryLink } from "../memory-link.ts";

/** What takes the connections of an address. */
export interface Acceptor {
  /** As it was taken. */
  readonly address: string;
  /** The server's end of a new connection, unstarted. */
  accept(link: MemoryLink): void;
  /** Gives the address free. */
  stopAccepting(): void;
}

/** A server's address in a memory network. */
export class MemoryListener implements Listener, Acceptor {
  readonly address: string;
  readonly port: number;
  refusedConnections = 0;
  readonly #options: ListenOptions;
  readonly #maxConnections: number;
  readonly #links: Set<MemoryLink> = new Set();
  #release: () => void;

  /** `release` gives the address free; it is called once. */
  constructor(address: string, port: number, options: ListenOptions, maxConnections: number, release: () => void) {
    this.address = address;
    this.port = port;
    this.#options = options;
    this.#maxConnections = maxConnections;
    this.#release = release;
  }

  get connections(): number {
    return this.#links.size;
  }

  accept(link: MemoryLink): void {
    if (this.#links.size >= this.#maxConnections) return this.#refuse(link);
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
    this.#options.onHttp2(link);
  }

  stopAccepting(): void {
    this.#release();
    this.#release = () => {};
  }

  async close(lingerMs: number = 0): Promise<void> {
    this.stopAccepting();
    const gone = [...this.#links].map((link) => link.closed);
    for (const link of this.#links) if (lingerMs === 0 || !link.hasEnded) link.destroy();
    const destroyRest = (): void => {
      for (const link of this.#links) link.destroy();
    };
    const timer = lingerMs === 0 ? null : this.#options.clock.setTimeout(destroyRest, lingerMs);
    await Promise.all(gone);
    timer?.cancel();
  }

  #refuse(link: MemoryLink): void {
    this.refusedConnections++;
    const text = `was refused: ${this.#maxConnections} connections are open; raise maxConnections or let clients share connections`;
    this.#options.onMisuse?.("too-many-connections", link.peer.remoteAddress, text);
    link.destroy();
  }
}
