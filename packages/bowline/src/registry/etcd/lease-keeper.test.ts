import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { EtcdClient } from "./client.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { checkEtcdOptions } from "./options.ts";

const TTL_SECONDS = 10;
const ANSWER_MS = 10;

type Requests = Parameters<EtcdClient["openKeepAlive"]>[0];

/** A member that renews each lease, on streams that it ends soon. */
class Member {
  readonly clock: VirtualClock = new VirtualClock();
  readonly openedAt: number[] = [];
  renewals = 0;
  /** Of each stream. */
  streamLifeMs: number = ANSWER_MS;

  async keeper(): Promise<LeaseKeeper> {
    const context = { clock: this.clock, random: seededRandom(1), environment: {} };
    const owner = { leaseLost() {}, leaseInDoubt() {}, leaseRenewed() {} };
    const keeper = new LeaseKeeper(
      this as unknown as EtcdClient,
      checkEtcdOptions({ hosts: ["member:2379"] }),
      context,
      owner,
    );
    await keeper.grant();
    return keeper;
  }

  async grantLease(): ReturnType<EtcdClient["grantLease"]> {
    return { id: 1n, ttlSeconds: TTL_SECONDS };
  }

  async openKeepAlive(requests: Requests): Promise<unknown> {
    this.openedAt.push(this.clock.fresh());
    return { line: { host: "member:2379" }, token: "", answers: this.#answers(requests) };
  }

  streamEnded(): void {}

  leave(): void {}

  async *#answers(requests: Requests): AsyncGenerator<{ ID: bigint; TTL: bigint }> {
    for await (const { ID = 0n } of requests) {
      await this.#pass(ANSWER_MS);
      this.renewals++;
      yield { ID, TTL: BigInt(TTL_SECONDS) };
      return this.#pass(this.streamLifeMs - ANSWER_MS);
    }
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }
}

describe("a lease in etcd", () => {
  it("is renewed a few times a second at most by a member that ends each stream after its answer", async () => {
    const member = new Member();
    const keeper = await member.keeper();
    await member.clock.advance(60_000);
    expect(member.renewals).toBeGreaterThanOrEqual(18);
    expect(member.renewals).toBeLessThan(120);
    keeper.close();
    expect(member.clock.pending).toBe(0);
  });

  it("has its next stream at once when one ends that had worked for a while", async () => {
    const member = new Member();
    member.streamLifeMs = 2000;
    const keeper = await member.keeper();
    await member.clock.advance(10_000);
    const [first] = member.openedAt;
    expect(member.openedAt).toEqual([first, first + 2000, first + 4000, first + 6000]);
    keeper.close();
  });
});
