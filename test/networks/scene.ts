import { afterAll, afterEach, beforeAll } from "vitest";
import type { ServerProcess } from "../registry/server-process.ts";
import { ETCD_PORT, startEtcd } from "./etcd-host.ts";
import type { Served } from "./people.ts";
import { createWorld, type World } from "./sites.ts";

/** Several processes start in each test, on a machine that has others to run. In ms. */
export const PATIENCE_MS = 240_000;

/** What the tests of one `describe` share. */
export interface Scene {
  readonly world: World;
  /** Address and port of etcd, for options. */
  readonly registry: string;
  /** The service of the test that runs; each has its own, so that nothing of one is seen in another. */
  readonly service: string;
  /** The same as a target in etcd. */
  readonly target: string;
  /** Counts tests. */
  readonly count: number;
  /** Ends with the test. */
  keep<S extends Served>(served: S): S;
}

/** A world with etcd for the tests of a `describe`; `build` adds sites and hosts once. */
export function useScene(program: string, build: (scene: Scene) => Promise<void>): Scene {
  let world: World;
  let etcd: ServerProcess;
  let count = 0;
  const servers: Served[] = [];
  const scene: Scene = {
    get world() {
      return world;
    },
    get registry() {
      return `${world.registry.address()}:${ETCD_PORT}`;
    },
    get service() {
      return `user-${count}.rpc`;
    },
    get target() {
      return `etcd://${scene.registry}/${scene.service}`;
    },
    get count() {
      return count;
    },
    keep(served) {
      servers.push(served);
      return served;
    },
  };
  beforeAll(async () => {
    world = createWorld();
    etcd = await startEtcd(world.registry, program);
    await build(scene);
  }, PATIENCE_MS);
  afterEach(async () => {
    count++;
    for (const { child } of servers.splice(0)) await child.stop();
  });
  afterAll(async () => {
    await etcd.remove();
    await world[Symbol.asyncDispose]();
  }, PATIENCE_MS);
  return scene;
}
