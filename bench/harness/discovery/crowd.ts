import type { Instance, Registration, Registry } from "bowline/registry";
import { seededRandom, systemClock } from "bowline/testing";
import { Child } from "../../../test/peers/child.ts";
import { nodeProgram } from "../../peers/contestants.ts";
import type { Figures } from "../load/reading.ts";
import { median } from "../report/statistics.ts";
import type { Backend } from "./backend.ts";
import { instantMs } from "./instant.ts";
import { type RegistryText, registryOf } from "./registry-text.ts";

/** Registrations under way together. */
const AT_ONCE = 100;
/** Instances of another service that are read first, so that what is made once is there. */
const FEW = 100;
/** Changes whose median counts. */
const CHANGES = 10;

/** Many instances of one service, read by a process that has its connection already: once all of them, then a change at a time. */
export async function manyInstances({ registry }: Backend, count: number): Promise<Figures> {
  const few = Array.from({ length: FEW }, () => "few");
  const many = Array.from({ length: count }, () => "crowd");
  const crowd = await register(registry, [...many, ...few]);
  const watcher = await startWatcher(registry);
  try {
    await watchAll(watcher, ["few"], few.length);
    const before = await watcher.memory();
    const { tookMs, blockedMs } = await watchAll(watcher, ["crowd"], count);
    const after = await watcher.memory();
    const changeMs: number[] = [];
    for (let change = 0; change < CHANGES; change++) changeMs.push(await timeChange(watcher, crowd.all[change * 7]));
    const instanceBytes = (after.heapBytes - before.heapBytes) / count;
    return { resyncMs: tookMs, blockedMs, changeMs: median(changeMs), instanceBytes };
  } finally {
    await watcher.stop();
    await crowd.registry.close();
  }
}

/** Many services of one instance each, all watched by one process. */
export async function manyServices(backend: Backend, count: number): Promise<Figures> {
  const services = Array.from({ length: count }, (_, at) => `service-${at}`);
  const crowd = await register(backend.registry, services);
  const watcher = await startWatcher(backend.registry);
  try {
    const before = await backend.streams();
    const { tookMs, blockedMs } = await watchAll(watcher, services, 1);
    return { resyncMs: tookMs, blockedMs, streams: (await backend.streams()) - before };
  } finally {
    await watcher.stop();
    await crowd.registry.close();
  }
}

interface Crowd {
  readonly registry: Registry;
  readonly all: readonly Registration[];
}

/** One instance for each name in the list, all on one lease. */
async function register(text: RegistryText, services: readonly string[]): Promise<Crowd> {
  const registry = registryOf(text).create({ clock: systemClock, random: seededRandom(2), environment: process.env });
  const all: Registration[] = [];
  for (let from = 0; from < services.length; from += AT_ONCE) {
    const some = services.slice(from, from + AT_ONCE);
    all.push(...(await Promise.all(some.map((service, at) => registry.register(service, instance(from + at))))));
  }
  return { registry, all };
}

function instance(number: number): Instance {
  const address = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:8080`;
  const addresses = [{ address, network: "" }];
  return { id: `bench-${number}`, addresses, weight: 1, zone: "zone-a", version: "1.0.0", tags: {}, state: "ready" };
}

async function startWatcher(registry: RegistryText): Promise<Child> {
  const watcher = new Child(nodeProgram("bowline", "registry-watcher", [registry], ["--expose-gc"]));
  await watcher.next("ready");
  return watcher;
}

async function watchAll(
  watcher: Child,
  services: readonly string[],
  instances: number,
): Promise<{ readonly tookMs: number; readonly blockedMs: number }> {
  const line = watcher.next("known");
  watcher.send({ watch: services, instances });
  const { began, known, blockedMs } = await line;
  return { tookMs: Number(known) - Number(began), blockedMs: Number(blockedMs) };
}

/** From the begin of a change here to the set that tells it there. */
async function timeChange(watcher: Child, registration: Registration): Promise<number> {
  const expecting = watcher.next("expecting");
  watcher.send({ change: true });
  await expecting;
  const changed = watcher.next("changed");
  const began = instantMs();
  await registration.update({ weight: 3 });
  return Number((await changed).changed) - began;
}
