import { type Clock, seededRandom, systemClock } from "bowline/testing";
import { expect } from "vitest";
import type { Instance, Registration, Registry, Snapshot } from "../../packages/bowline/src/registry/registry.ts";
import { capabilitiesOf, fullInstance, type RegistryCapabilities, type RegistryHarness } from "./harness.ts";
import { Recording } from "./recording.ts";

const DEFAULT_PATIENCE_MS = 10_000;
/** Between two looks at a condition. */
const LOOK_MS = 5;
/** Steps of virtual time. */
const STEP_MS = 100;

/** Names are used once in a process, and two processes may share a server. */
let lastLabel = 0;

/** One test on a harness: its registries, watches and what it put into the backend, all closed at its end. */
export class ContractScene {
  readonly harness: RegistryHarness;
  readonly can: RegistryCapabilities;
  /** What registries reported to their context. */
  readonly reports: Error[] = [];
  readonly #recordings: Recording[] = [];
  readonly #registries: Registry[] = [];
  /** By service and key: what {@link set} registered. */
  readonly #put: Map<string, Map<string, Registration>> = new Map();
  #writer: Promise<Registry> | null = null;

  constructor(harness: RegistryHarness) {
    this.harness = harness;
    this.can = capabilitiesOf(harness);
  }

  /** A registry as another process would have it. */
  async registry(): Promise<Registry> {
    const clock: Clock = this.harness.clock ?? systemClock;
    const random = seededRandom(++lastLabel);
    const report = (error: Error): void => void this.reports.push(error);
    const registry = await this.harness.create({ clock, random, environment: {}, report });
    this.#registries.push(registry);
    return registry;
  }

  /** The name of a service that no other test uses. */
  service(): string {
    const label = `${process.pid}-${++lastLabel}`;
    return this.harness.service?.(label) ?? `contract-${label}`;
  }

  instance(number: number, service: string): Instance {
    return this.harness.instance?.(number, service) ?? fullInstance(number);
  }

  instances(service: string, ...numbers: readonly number[]): Instance[] {
    return numbers.map((number) => this.instance(number, service));
  }

  /** What tells instances apart. */
  readonly keyOf = (instance: Instance): string =>
    this.can.keeps.includes("id") ? instance.id : instance.addresses[0].address;

  /** Watches in a registry, a new one unless given. */
  async watch(service: string, registry?: Registry): Promise<Recording> {
    const recording = new Recording(registry ?? (await this.registry()), service, this.keyOf);
    recording.mayChangeWhileStale = this.can.changesWhileStale;
    this.#recordings.push(recording);
    return recording;
  }

  /** Makes these the instances of a service: by registrations, or in the backend where the adapter only reads. */
  set(service: string, instances: readonly Instance[]): Promise<void> {
    return this.done(`${instances.length} instances are put`, this.#set(service, instances));
  }

  async #set(service: string, instances: readonly Instance[]): Promise<void> {
    if (!this.can.writes) {
      await this.harness.set?.(service, instances);
      return;
    }
    this.#writer ??= this.registry();
    const writer = await this.#writer;
    const before = this.#put.get(service) ?? new Map<string, Registration>();
    const after = new Map<string, Registration>();
    this.#put.set(service, after);
    const register = async (instance: Instance): Promise<void> => {
      const key = this.keyOf(instance);
      after.set(key, before.get(key) ?? (await writer.register(service, instance)));
    };
    await Promise.all(instances.map(register));
    await Promise.all([...before].map(([key, each]) => (after.has(key) ? undefined : each.close())));
  }

  /** A registration that {@link set} made. */
  registration(service: string, instance: Instance): Registration {
    return this.#put.get(service)?.get(this.keyOf(instance)) as Registration;
  }

  /** Waits until a condition holds; rejects with what was seen when it has not within the harness's patience. */
  async eventually(what: string, condition: () => boolean): Promise<void> {
    const { patienceMs = DEFAULT_PATIENCE_MS, clock } = this.harness;
    const time: Clock = clock ?? systemClock;
    const end = time.fresh() + patienceMs;
    while (!condition()) {
      if (time.fresh() > end) throw new Error(`waited ${patienceMs} ms in vain until ${what}\n${this.#describe()}`);
      await (clock === undefined ? new Promise((resolve) => setTimeout(resolve, LOOK_MS)) : clock.advance(STEP_MS));
    }
  }

  /** Waits for something that the backend or an adapter does; virtual time goes on meanwhile. */
  async done<T>(what: string, work: Promise<T>): Promise<T> {
    let isDone = false;
    const ended = (): void => void (isDone = true);
    work.then(ended, ended);
    await this.eventually(what, () => isDone);
    return work;
  }

  /** Waits until a watch knows exactly these instances, live. */
  async until(recording: Recording, instances: readonly Instance[]): Promise<Snapshot> {
    const wanted = instances.map(this.keyOf).sort().join("\n");
    const fits = (): boolean => recording.last?.freshness === "live" && recording.keys.join("\n") === wanted;
    await this.eventually(`${instances.length} instances are seen, live`, fits);
    return recording.last as Snapshot;
  }

  /** Waits for a live snapshot with an instance that fits. */
  async untilOne(recording: Recording, what: string, fits: (instance: Instance) => boolean): Promise<Instance> {
    const found = (): Instance | undefined => recording.last?.instances.find(fits);
    await this.eventually(what, () => recording.last?.freshness === "live" && found() !== undefined);
    return found() as Instance;
  }

  /** Expects instances as they were registered, in all that the product keeps. */
  expectSame(seen: readonly Instance[], registered: readonly Instance[]): void {
    const form = (list: readonly Instance[]): unknown[] =>
      [...list].sort((a, b) => (this.keyOf(a) < this.keyOf(b) ? -1 : 1)).map((each) => this.#kept(each));
    expect(form(seen)).toEqual(form(registered));
  }

  /** Closes everything, and judges what all watches were told. */
  async close(): Promise<void> {
    for (const recording of this.#recordings) recording.close();
    await this.done("all registries are closed", Promise.all(this.#registries.map((registry) => registry.close())));
    expect(this.#recordings.flatMap(({ violations }) => violations)).toEqual([]);
  }

  #kept(instance: Instance): Record<string, unknown> {
    const { keeps } = this.can;
    const addresses = keeps.includes("networks") ? instance.addresses : instance.addresses[0].address;
    const fields = Object.entries(instance).filter(([name]) => (keeps as readonly string[]).includes(name));
    return { ...Object.fromEntries(fields), addresses };
  }

  #describe(): string {
    const reports = this.reports.slice(-3).map(({ message }) => `reported: ${message}`);
    return [...this.#recordings.map((each) => each.describe()), ...reports].join("\n");
  }
}
