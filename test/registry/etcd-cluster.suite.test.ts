import { describe, expect, it } from "vitest";
import {
  killLeaders,
  lagAndCompact,
  loseQuorum,
  pauseRegistrar,
  restartTogether,
} from "./experiments/etcd-experiments.ts";
import { realRegistry } from "./suite.ts";

/** One third of the life of a lease. */
const HEARTBEAT_MS = 3334;
const TTL_MS = 10_000;
/** etcd's election timeout is 1 s, and it may take more than one; a machine under load adds to that. */
const ELECTION_MS = 5000;

await realRegistry("a cluster of etcd 3.6", ["etcd-3.6"], ([program]) => {
  // In their short forms; `npm run registries -- experiments` runs the full ones.
  describe("in trouble", { timeout: 300_000 }, () => {
    it("whose leader is killed every few seconds shows what is true: nobody missing, nobody dead for long", async () => {
      const figures = await killLeaders(program, 25_000, 4000, 50);
      expect(figures.kills).toBeGreaterThan(2);
      expect(figures.trueAfterQuietMs).toBeLessThanOrEqual(2000);
      expect(figures.longestMissingMs).toBeLessThanOrEqual(HEARTBEAT_MS);
      expect(figures.longestDeadSinceKillMs).toBeLessThanOrEqual(TTL_MS + ELECTION_MS);
      expect([figures.resurrections, figures.goneBack]).toEqual([0, 0]);
    });

    it("misses nothing and brings nothing back with members that lag, restart and compact", async () => {
      const { missed, resurrections, goneBack } = await lagAndCompact(program, 4);
      expect([missed, resurrections, goneBack]).toEqual([0, 0, 0]);
    });

    it("loses no instance while its quorum is lost, and has all leases back within a heartbeat", async () => {
      const figures = await loseQuorum(program, 15_000);
      expect(figures.keptInOutage).toBe(1);
      expect(figures.goneBack).toBe(0);
      expect(figures.longestMissingMs).toBeLessThanOrEqual(HEARTBEAT_MS);
    });

    it("sees a process that stood still go with its lease, and come back at once", async () => {
      const { slowestGoneMs, slowestBackMs } = await pauseRegistrar(program, 1);
      expect(slowestGoneMs).toBeLessThanOrEqual(TTL_MS + 1000);
      expect(slowestBackMs).toBeLessThanOrEqual(1000);
    });

    it("is not stormed by processes that lost their leases together", async () => {
      const { processes, present, peakRequestsPerSecond } = await restartTogether(program, 200);
      expect(present).toBe(processes);
      // A lease, a put, two watches and a renewal each, at most twice.
      expect(peakRequestsPerSecond).toBeLessThanOrEqual(10 * processes);
    });
  });
});
