import { parseArgs } from "node:util";
import type { Message } from "@bufbuild/protobuf";
import { Code, type Codec, RpcError } from "bowline";
import { type CompiledType, type Judged, loadGenerated } from "../harness/compiled-schemas.ts";
import { withProtos } from "../harness/run-properties.ts";
import { ATTACKS, type Attack } from "./attacks.ts";
import { HOSTILE_PROTO } from "./hostile-proto.ts";

/*
 * A process of its own, started with --expose-gc: decodes each attack and prints a line of JSON with what it cost.
 * Heap is what remains while the message is alive; time is CPU time of the quickest of some attempts.
 */

/** What an attack cost. */
export interface AttackCost {
  readonly attack: string;
  readonly wireBytes: number;
  /** How it ended: `read`, `limit`, `codec`, or the text of an error that it must not end in. */
  readonly outcome: string;
  /** Above what there was before, with the message alive. */
  readonly heapBytes: number;
  /** CPU time for `wireBytes` divided by that for a sixteenth of them. */
  readonly growth: number;
  /** CPU time divided by that of the same content without the attack; 1 when there is nothing to compare with. */
  readonly excess: number;
}

const { values } = parseArgs({
  options: {
    // Where `compileProtos` has been; without it the schema is compiled first, and the compiler stays in the heap.
    folder: { type: "string" },
    bytes: { type: "string", default: "4194304" },
    codec: { type: "string", default: "generated" },
    attack: { type: "string", default: "" },
  },
});

const judged: Judged = values.codec === "dynamic" ? "dynamic" : "generated";
const collect = globalThis.gc as () => void;

if (values.folder !== undefined) measure((await loadGenerated(values.folder, judged)).types);
else await withProtos(new Map([["hostile.proto", HOSTILE_PROTO]]), judged, ({ types }) => measure(types));

function measure(types: readonly CompiledType[]): void {
  for (const [name, attack] of Object.entries(ATTACKS)) {
    if (!name.includes(values.attack)) continue;
    const codec = types.find((type) => type.desc.typeName === attack.type)?.codec as Codec<Message>;
    console.log(JSON.stringify(costOf(name, attack, codec, Number(values.bytes))));
  }
}

function costOf(name: string, attack: Attack, codec: Codec<Message>, bytes: number): AttackCost {
  const wire = attack.make(bytes);
  outcomeOf(codec, attack.make(1000));
  const before = usedBytes();
  const started = process.cpuUsage();
  const { outcome, message } = outcomeOf(codec, wire);
  const firstTime = microsecondsSince(started);
  const heapBytes = usedBytes() - before;
  // The message must be alive when memory is measured.
  if (message?.$typeName === "") throw new Error("a message without a name");
  const part = attack.make(bytes >> 4);
  const partTime = quickest(2, () => outcomeOf(codec, part));
  // A first attempt may have been disturbed; one that was quick enough needs no other.
  const time =
    firstTime < partTime * 40
      ? firstTime
      : Math.min(
          firstTime,
          quickest(2, () => outcomeOf(codec, wire)),
        );
  const growth = time / partTime;
  const harmless = attack.harmless?.(bytes);
  const excess = harmless === undefined ? 1 : time / quickest(1, () => outcomeOf(codec, harmless));
  return { attack: name, wireBytes: wire.length, outcome, heapBytes, growth, excess };
}

function outcomeOf(codec: Codec<Message>, wire: Buffer): { outcome: string; message?: Message } {
  try {
    return { outcome: "read", message: codec.read(wire, 0, wire.length) };
  } catch (error) {
    if (RpcError.is(error) && error.code === Code.RESOURCE_EXHAUSTED && error.reason === "limit")
      return { outcome: "limit" };
    if (RpcError.is(error) && error.code === Code.INTERNAL && error.reason === "codec") return { outcome: "codec" };
    return { outcome: String(error) };
  }
}

function usedBytes(): number {
  // What holds memory outside of the heap goes with the first, the memory itself with the second.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** CPU time in µs; what is too short to be measured counts as a millisecond. */
function quickest(attempts: number, action: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const started = process.cpuUsage();
    action();
    best = Math.min(best, microsecondsSince(started));
  }
  return Math.max(best, 1000);
}

function microsecondsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return user + system;
}
