import {
  type DialOptions,
  type FaultLink,
  type Link,
  type Listener,
  type ListenOptions,
  type ListenTarget,
  type MemoryNetwork,
  memoryNetwork,
  type Network,
  rawGoaway,
  rawReset,
} from "bowline/testing";
import { Dice } from "../engine/dice.ts";
import type { SimulationClock } from "../engine/simulation-clock.ts";
import type { Trace } from "../engine/trace.ts";
import { type Chunking, calmLinkPlan, type LinkEvent, type LinkPlan } from "./link-plan.ts";
import { type TapOwner, TappedLink } from "./tapped-link.ts";

/** What a tapped network is made with. */
export interface TappedNetworkOptions {
  readonly seed: number;
  readonly clock: SimulationClock;
  readonly trace: Trace;
  /** The faults of the next connection. */
  plan(): LinkPlan;
  violation(text: string): void;
  /** Changes what arrives: for planted faults. Default: nothing. */
  tamper?(chunk: Buffer): Buffer;
}

/** One connection with both its taps. */
export interface Connection {
  readonly client: TappedLink;
  readonly server: TappedLink;
  readonly fault: FaultLink;
}

/** INTERNAL_ERROR and CANCEL: what a proxy in between says of a stream. */
const RESET_CODES: readonly number[] = [2, 8];
/** Of one connection: more deliveries of one octet take real time and find nothing new. */
const MAX_SINGLE_OCTETS = 600;

/** A memory network whose connections are watched at both ends, each with faults of its own at octets of its own. */
export class TappedNetwork implements Network {
  readonly resolvesNames = true;
  /** What carries the octets, for faults of whole addresses. */
  readonly memory: MemoryNetwork;
  readonly connections: Connection[] = [];
  readonly #options: TappedNetworkOptions;
  readonly #dice: Dice;
  readonly #accepted: Map<string, TappedLink> = new Map();
  #dialled = 0;
  #plan: LinkPlan | null = null;
  #isHealed = false;

  constructor(options: TappedNetworkOptions) {
    this.#options = options;
    this.#dice = new Dice(options.seed, "network");
    const faults = (): LinkPlan["faults"] => {
      this.#plan = this.#isHealed ? calmLinkPlan("whole") : options.plan();
      return this.#plan.faults;
    };
    this.memory = memoryNetwork({ clock: options.clock, random: this.#dice.random, faults });
  }

  listen(target: ListenTarget, options: ListenOptions): Promise<Listener> {
    const onHttp2 = (link: Link): void => {
      const name = `${link.peer.localAddress}<${link.peer.remoteAddress.split(":")[1]}`;
      const tap = new TappedLink(link, name, false, this.#owner());
      this.#accepted.set(link.peer.remoteAddress, tap);
      options.onHttp2(tap);
    };
    return this.memory.listen(target, { ...options, onHttp2 });
  }

  async dial(address: string, options: DialOptions): Promise<Link> {
    const dialling = this.memory.dial(address, options);
    // Drawn by the call above.
    const plan = this.#plan as LinkPlan;
    const inner = await dialling;
    const { localAddress } = inner.peer;
    const client = new TappedLink(inner, `${address}>${localAddress.split(":")[1]}`, true, this.#owner());
    const server = this.#accepted.get(localAddress) as TappedLink;
    const fault = this.memory.links(address).find((link) => link.clientAddress === localAddress);
    if (fault === undefined) return client;
    const connection = { client, server, fault };
    this.connections.push(connection);
    if (!this.#isHealed) this.#apply(plan, connection, new Dice(this.#options.seed, `link ${this.#dialled++}`));
    return client;
  }

  /** No faults for connections from now on; what was to befall those that stand does not. */
  heal(): void {
    this.#isHealed = true;
    this.#waiting.clear();
  }

  #apply(plan: LinkPlan, connection: Connection, dice: Dice): void {
    const { fault } = connection;
    for (const at of ["client", "server"] as const) {
      const line = at === "client" ? fault.toClient : fault.toServer;
      const own = plan.events.filter((event) => event.at === at);
      const octets = own.map(({ octet }) => octet);
      const draw = chunker(plan.chunking, dice);
      const chunkBytes = (): number => {
        const next = octets.find((octet) => octet > line.arrivedBytes) ?? Number.POSITIVE_INFINITY;
        return Math.min(draw(), next - line.arrivedBytes);
      };
      line.set({ chunkBytes });
      this.#waiting.set(connection[at], { connection, plan, dice, events: [...own] });
    }
  }

  readonly #waiting: Map<
    TappedLink,
    { connection: Connection; plan: LinkPlan; dice: Dice; events: LinkPlan["events"][number][] }
  > = new Map();

  #owner(): TapOwner {
    const { trace, violation, tamper = (chunk) => chunk } = this.#options;
    return { trace, violation, tamper, arrived: (link, octets) => this.#arrived(link, octets) };
  }

  #arrived(link: TappedLink, octets: number): void {
    const waiting = this.#waiting.get(link);
    if (waiting === undefined) return;
    while (waiting.events.length > 0 && waiting.events[0].octet <= octets) {
      const { event } = waiting.events.shift() as LinkPlan["events"][number];
      this.#options.trace.note(`${link.name} ${event} at octet ${octets}`);
      this.#befall(event, link, waiting.connection, waiting.plan, waiting.dice);
    }
  }

  #befall(event: LinkEvent, link: TappedLink, connection: Connection, plan: LinkPlan, dice: Dice): void {
    const { clock } = this.#options;
    const { fault, client, server } = connection;
    switch (event) {
      case "reset":
        return fault.reset();
      case "freeze":
        fault.freeze();
        void clock.setTimeout(() => fault.thaw(), plan.thawMs);
        return;
      case "freeze-for-good":
        return fault.freeze();
      case "lose-client":
        return fault.lose("client");
      case "lose-server":
        return fault.lose("server");
      case "goaway":
        // Honest: the server never sees a stream above the one that is named.
        server.isDeaf = true;
        server.isTamperedWith = true;
        client.inject(() => rawGoaway(server.lastStreamId, 0, "maintenance"));
        void clock.setTimeout(() => fault.reset(), plan.thawMs);
        return;
      case "reset-stream":
        client.isTamperedWith = true;
        server.isTamperedWith = true;
        return this.#resetStream(link, dice.pick(RESET_CODES));
    }
  }

  #resetStream(link: TappedLink, code: number): void {
    const { currentStreamId } = link;
    if (currentStreamId > 0) link.inject(() => rawReset(currentStreamId, code));
  }
}

function chunker(chunking: Chunking, dice: Dice): () => number {
  if (chunking === "whole") return () => 65_536;
  if (chunking === "random") return () => Math.floor(2 ** dice.between(0, 14));
  let left = MAX_SINGLE_OCTETS;
  return () => (left-- > 0 ? 1 : 65_536);
}
