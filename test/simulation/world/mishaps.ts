import type { Dice } from "../engine/dice.ts";
import type { SimulationClock } from "../engine/simulation-clock.ts";
import type { Trace } from "../engine/trace.ts";
import type { TappedNetwork } from "../network/tapped-network.ts";
import type { Fleet } from "./fleet.ts";

/** What befalls a server or its part of the network. */
type Mishap = (address: string, forMs: number) => void;

/** Servers that stop, crash and come back, and addresses that can't be reached, at times drawn beforehand. */
export class Mishaps {
  readonly #kinds: Readonly<Record<string, Mishap>>;
  readonly #names: readonly string[];
  readonly #trace: Trace;

  constructor(fleet: Fleet, network: TappedNetwork, clock: SimulationClock, trace: Trace) {
    const { memory } = network;
    const later = (work: () => void, ms: number): void => void clock.setTimeout(work, ms);
    const restart = (address: string, ms: number): void => later(() => void fleet.start(address), ms);
    this.#trace = trace;
    this.#kinds = {
      stop: (address, forMs) => {
        fleet.stop(address);
        restart(address, forMs);
      },
      crash: (address, forMs) => {
        fleet.crash(address, false);
        restart(address, forMs);
      },
      "lose power": (address, forMs) => {
        fleet.crash(address, true);
        restart(address, forMs);
      },
      "cut off": (address, forMs) => {
        memory.cutOff(address);
        later(() => memory.restore(address), forMs);
      },
      refuse: (address, forMs) => {
        memory.refuse(address);
        later(() => memory.accept(address), forMs);
      },
      "forget a window": (address, forMs) => {
        // What a server sends gets through, what it should hear does not: its windows run dry.
        const links = memory.links(address);
        for (const link of links) link.toServer.freeze();
        later(() => links.forEach((link) => void link.toServer.thaw()), forMs);
      },
      slow: (address, forMs) => {
        memory.setFaults(address, { bytesPerSecond: 20_000 });
        later(() => memory.setFaults(address, { bytesPerSecond: Number.POSITIVE_INFINITY }), forMs);
      },
    };
    this.#names = Object.keys(this.#kinds);
  }

  /** Draws `count` mishaps before `untilMs`; all are over 3 s later. */
  schedule(count: number, dice: Dice, fleet: Fleet, clock: SimulationClock, untilMs: number): void {
    for (let index = 0; index < count; index++) {
      const name = dice.pick(this.#names);
      const address = dice.pick(fleet.addresses);
      const forMs = dice.between(20, 3000);
      const befall = (): void => {
        this.#trace.note(`${address} ${name} for ${forMs.toFixed(0)} ms`);
        this.#kinds[name](address, forMs);
      };
      void clock.setTimeout(befall, dice.between(0, untilMs));
    }
  }
}
