import type { MemoryLink } from "../memory-link.ts";
import { RawPeer, type RawPeerOptions } from "../raw-peer.ts";
import type { Acceptor } from "./memory-listener.ts";

/** Plays the server on one connection; `index` counts connections from 0. */
export type RawScript = (peer: RawPeer, index: number) => unknown;

/** An address whose connections a script plays. */
export interface RawListener extends AsyncDisposable {
  /** As it was taken. */
  readonly address: string;
  /** All connections so far, in order. */
  readonly peers: readonly RawPeer[];
  /** The next connection that was not asked for yet: one that is there, else the next to come. Rejects when none can come any more. */
  next(): Promise<RawPeer>;
  /** Drops all connections and gives the address free. Rejects with the first error of a script whose connection stood. */
  close(): Promise<void>;
}

/** The listener as its network sees it. */
export class RawAcceptor implements RawListener, Acceptor {
  readonly address: string;
  readonly peers: RawPeer[] = [];
  readonly #script: RawScript;
  readonly #options: Partial<RawPeerOptions>;
  readonly #coming: PromiseWithResolvers<RawPeer>[] = [];
  #taken = 0;
  #release: () => void;
  #isAccepting = true;
  #isClosed = false;
  #failure: { readonly error: unknown } | null = null;

  /** `release` gives the address free; it is called once. */
  constructor(address: string, script: RawScript, options: Partial<RawPeerOptions>, release: () => void) {
    this.address = address;
    this.#script = script;
    this.#options = options;
    this.#release = release;
  }

  next(): Promise<RawPeer> {
    const peer = this.peers[this.#taken];
    if (peer === undefined && !this.#isAccepting) return Promise.reject(this.#noMore());
    this.#taken++;
    if (peer !== undefined) return Promise.resolve(peer);
    const coming = Promise.withResolvers<RawPeer>();
    this.#coming.push(coming);
    // A test may look at its promise later than the listener is closed, or never.
    coming.promise.catch(() => {});
    return coming.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.stopAccepting();
    for (const peer of this.peers) peer.destroy();
    if (this.#failure !== null) throw this.#failure.error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- Acceptor ---

  accept(link: MemoryLink): void {
    const peer = new RawPeer(link, { acknowledges: true, ...this.#options, role: "server" });
    const index = this.peers.push(peer) - 1;
    void this.#play(peer, index);
    this.#coming.shift()?.resolve(peer);
  }

  stopAccepting(): void {
    this.#isAccepting = false;
    this.#release();
    this.#release = () => {};
    for (const coming of this.#coming.splice(0)) coming.reject(this.#noMore());
  }

  #noMore(): Error {
    return new Error(`listenRaw: ${this.address} was closed, and no further connection comes`);
  }

  async #play(peer: RawPeer, index: number): Promise<void> {
    try {
      await this.#script(peer, index);
    } catch (error) {
      const isOver = this.#isClosed || peer.isClosed || peer.hasOtherEnded;
      if (!isOver) this.#failure ??= { error };
    }
  }
}
