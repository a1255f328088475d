import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { http2Limits } from "../../http2/limits.ts";
import type { Link } from "../../http2/link.ts";
import { explainFirstBytes } from "../../net/first-bytes.ts";
import type { Instance } from "../../registry/registry.ts";
import { ConnectionBackoff } from "../../resilience/backoff.ts";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { type Endpoint, endpointId } from "./endpoint.ts";
import { EndpointSet } from "./endpoint-set.ts";

const NOWHERE = "nowhere:1";

/** A set whose connections never come about. */
class Scene {
  readonly told: Endpoint[][] = [];
  readonly set: EndpointSet;

  constructor() {
    const clock = new VirtualClock();
    const random = seededRandom(5);
    const transport = { clock, limits: http2Limits(), keepalive: null, maxReceiveBytes: 1, explain: explainFirstBytes };
    const nothing = (): void => {};
    const owner = { stateChanged: nothing, roomMade: nothing, membersLeft: nothing, secondLookWanted: nothing };
    this.set = new EndpointSet(
      {
        clock,
        random,
        endpoint: {
          clock,
          transport: { ...transport, misused: nothing },
          maxConnections: 1,
          backoff: () => new ConnectionBackoff({ random }),
          dial: () => new Promise<Link>(() => {}),
        },
        balancer: { name: "told", update: (all) => this.told.push([...all]), pick: () => null, done: nothing },
        choose,
      },
      owner,
    );
  }
}

function choose({ addresses }: Instance): string | null {
  return addresses[0].address === NOWHERE ? null : addresses[0].address;
}

/** Few ids and addresses, so that they meet: instances move, change places, share an address, come twice. */
const instance: fc.Arbitrary<Instance> = fc.record({
  id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
  addresses: fc.tuple(
    fc.record({ address: fc.constantFrom("h1:1", "h2:1", "h3:1", NOWHERE), network: fc.constant("") }),
  ),
  weight: fc.constantFrom(0, 1, 2),
  zone: fc.constantFrom("", "z"),
  version: fc.constant(""),
  tags: fc.constant({}),
  state: fc.constantFrom("ready", "draining"),
});

/** A list that shares objects with the one before, as registries make them. */
type Edit = { readonly at: number; readonly remove: number; readonly add: readonly Instance[] };
const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(6),
  remove: fc.nat(4),
  add: fc.array(instance, { maxLength: 3 }),
});

describe("the endpoints of any snapshots", () => {
  it("are those that the last one lists and those that are suspected, and the balancer knows them all", () => {
    const steps = fc.array(fc.tuple(edit, fc.boolean()), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(steps, (edits) => {
        const { set, told } = new Scene();
        let list: readonly Instance[] = [];
        for (const [{ at, remove, add }, isLive] of edits) {
          list = list.toSpliced(at, remove, ...add);
          set.apply({ instances: list, isLive, isFirst: false }, true);
          expectListed(set, list);
          expect(told.at(-1) ?? []).toEqual(set.all);
        }
        set.close();
        expect([set.size, set.state]).toEqual([0, "empty"]);
      }),
      { numRuns: 2000 },
    );
  });
});

function expectListed(set: EndpointSet, list: readonly Instance[]): void {
  const byId = new Map<string, Instance>();
  for (const each of list) {
    const address = choose(each);
    if (address !== null) byId.set(endpointId(each.id, address), each);
  }
  const listed = set.all.filter(({ isListed }) => isListed);
  expect(new Map(listed.map((endpoint) => [endpoint.id, endpoint.instance]))).toEqual(byId);
  for (const { id, instance } of listed) expect(instance).toBe(byId.get(id));
  const others = set.all.filter(({ isListed }) => !isListed);
  expect(new Set(others)).toEqual(new Set(set.membership.suspects.keys()));
  expect(others.every(({ suspicion }) => suspicion !== null)).toBe(true);
  expect(listed.every(({ suspicion }) => suspicion === null)).toBe(true);
  expect(set.skipped).toEqual(new Set(list.filter((each) => choose(each) === null)));
  const weighted = set.all.some(({ weight }) => weight > 0);
  expect(set.state).toBe(weighted ? "connecting" : "empty");
}
