import type { Fleet } from "../fleet/fleet.ts";
import type { FleetInstance } from "../fleet/fleet-instance.ts";
import type { Traffic } from "../traffic/traffic.ts";
import type { Key } from "./keys.ts";

/** How much a press of + or - changes the load. */
const LOAD_STEP = 1.25;
const MIN_RATE = 10;
const MAX_RATE = 20_000;

/** What keys do. */
export class Controls {
  readonly #fleet: Fleet;
  readonly #traffic: Traffic;
  readonly #say: (text: string) => void;
  readonly #quit: () => void;
  #selected: FleetInstance | null = null;
  #isKilling = false;

  constructor(fleet: Fleet, traffic: Traffic, say: (text: string) => void, quit: () => void) {
    this.#fleet = fleet;
    this.#traffic = traffic;
    this.#say = say;
    this.#quit = quit;
  }

  /** The instance that keys are about; when the chosen one is not shown any more, the first of its service. */
  get selected(): FleetInstance | null {
    const { instances } = this.#fleet;
    const chosen = this.#selected;
    if (chosen !== null && instances.includes(chosen)) return chosen;
    return instances.find((each) => each.service === chosen?.service) ?? instances[0] ?? null;
  }

  /** What is asked at present. */
  get question(): string | null {
    if (!this.#isKilling) return null;
    return `kill which one? its digit, or k again for ${this.selected?.name}; any other key kills none`;
  }

  press(key: Key): void {
    if (key === "interrupt" || key === "q") return this.#quit();
    if (this.#isKilling) return this.#killAnswered(key);
    switch (key) {
      case "up":
        return this.#move(-1);
      case "down":
        return this.#move(1);
      case "k":
        this.#isKilling = true;
        return;
      case "f":
        return this.#freezeOrThaw();
      case "s":
        return this.#start();
      case "r":
        return this.#restart();
      case "c":
        return this.#try(this.#fleet.cutOrMendRegistry());
      case "+":
      case "=":
        return this.#load(LOAD_STEP);
      case "-":
        return this.#load(1 / LOAD_STEP);
      default:
        if (key >= "1" && key <= "9") this.#select(Number(key));
    }
  }

  #move(by: number): void {
    const { instances } = this.#fleet;
    const at = instances.indexOf(this.selected as FleetInstance) + by;
    this.#selected = instances[Math.min(instances.length - 1, Math.max(0, at))] ?? null;
  }

  #select(number: number): void {
    this.#selected = this.#fleet.instances[number - 1] ?? this.#selected;
  }

  #killAnswered(key: Key): void {
    this.#isKilling = false;
    if (key >= "1" && key <= "9") this.#select(Number(key));
    else if (key !== "k" && key !== "enter") return this.#say("nobody was killed");
    if (this.selected?.isAlive) this.selected.kill();
    else this.#say(`${this.selected?.name} does not run any more`);
  }

  #freezeOrThaw(): void {
    const { selected } = this;
    if (selected?.state === "frozen") void selected.thaw();
    else if (selected?.state === "ready") selected.freeze();
    else this.#say(`${selected?.name} can't be frozen, it is ${selected?.state}`);
  }

  #start(): void {
    const service = this.selected?.service;
    if (service !== undefined) this.#try(this.#fleet.start(service));
  }

  #restart(): void {
    const { selected } = this;
    if (selected === null || !selected.isAlive)
      return this.#say(`${selected?.name} does not run any more; s starts a new one`);
    this.#say(`${selected.name} is being restarted: a new one first, then SIGTERM`);
    this.#try(this.#fleet.restart(selected));
  }

  #load(factor: number): void {
    const rate = Math.round(this.#traffic.rate * factor);
    this.#traffic.rate = Math.min(MAX_RATE, Math.max(MIN_RATE, rate));
  }

  #try(action: Promise<unknown>): void {
    action.catch((error: Error) => this.#say(error.message));
  }
}
