import { Code, quantileMs } from "bowline";
import { InventoryService } from "../../gen/shop/inventory/v1/inventory_rpc.ts";
import { OrderService } from "../../gen/shop/order/v1/order_rpc.ts";
import { StorefrontService } from "../../gen/shop/storefront/v1/storefront_rpc.ts";
import type { MethodReport } from "../../instance/report.ts";

/** What an instance has counted until a moment. */
interface Sample {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly started: number;
  readonly ended: number;
  readonly errors: number;
  readonly inFlight: number;
  /** Durations of calls with one answer; a stream lasts as long as its reader likes. */
  readonly histogram: Float64Array;
}

/** What people want to know of an instance. */
export interface Figures {
  readonly callsPerSecond: number;
  /** Over the last seconds; 0 when there was no call. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Since its start: calls that ended in a way that is no answer. */
  readonly errors: number;
  readonly ended: number;
  readonly inFlight: number;
}

/** Samples that are kept. */
const KEPT_MS = 15_000;
const RATE_OVER_MS = 2_000;
const QUANTILES_OVER_MS = 5_000;
/** An instance that has been silent for so long is not described by what it said last. */
const SILENT_MS = 1_600;

/** Codes that tell of trouble. The others are answers, though not always the hoped-for ones: OUT_OF_STOCK is no fault of an instance. */
const FAULTS: readonly number[] = [
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.RESOURCE_EXHAUSTED,
  Code.ABORTED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
];

const streamingPaths: ReadonlySet<string> = new Set(
  [StorefrontService, OrderService, InventoryService]
    .flatMap((service) => Object.values(service.methods))
    .filter((method) => method.kind !== "unary")
    .map((method) => method.path),
);

/** What an instance has reported lately. */
export class Statistics {
  #samples: Sample[] = [];

  /** Takes a report that arrived at `now` (monotonic milliseconds). */
  add(methods: readonly MethodReport[], now: number): void {
    this.#samples.push(sampleOf(methods, now));
    while (this.#samples[0].at < now - KEPT_MS) this.#samples.shift();
  }

  /** The figures at `now`; null as long as nothing is known. */
  figures(now: number): Figures | null {
    const last = this.#samples.at(-1);
    if (last === undefined) return null;
    const isSilent = last.at < now - SILENT_MS;
    const recent = difference(this.#before(last.at - QUANTILES_OVER_MS).histogram, last.histogram);
    return {
      callsPerSecond: isSilent ? 0 : this.#rate(last),
      p50Ms: quantileMs(recent, 0.5),
      p99Ms: quantileMs(recent, 0.99),
      errors: last.errors,
      ended: last.ended,
      inFlight: last.inFlight,
    };
  }

  /** Calls that were started in the last `overMs` before the last report; none if it has been silent since. */
  startedWithin(overMs: number, now: number): number {
    const last = this.#samples.at(-1);
    if (last === undefined || last.at < now - SILENT_MS) return 0;
    return last.started - this.#before(last.at - overMs).started;
  }

  #rate(last: Sample): number {
    const first = this.#before(last.at - RATE_OVER_MS);
    return last.at === first.at ? 0 : ((last.ended - first.ended) * 1000) / (last.at - first.at);
  }

  /** The last sample that is as old as `at`, or the oldest. */
  #before(at: number): Sample {
    return this.#samples.findLast((sample) => sample.at <= at) ?? this.#samples[0];
  }
}

function sampleOf(methods: readonly MethodReport[], at: number): Sample {
  const histogram = new Float64Array(methods[0]?.histogram.length ?? 0);
  for (const { method, histogram: each } of methods) {
    if (streamingPaths.has(method)) continue;
    for (let bucket = 0; bucket < each.length; bucket++) histogram[bucket] += each[bucket];
  }
  const total = (count: (report: MethodReport) => number): number =>
    methods.reduce((sum, each) => sum + count(each), 0);
  return {
    at,
    started: total(({ started }) => started),
    ended: total(({ byCode }) => byCode.reduce((sum, count) => sum + count, 0)),
    errors: total(({ byCode }) => FAULTS.reduce((sum, code) => sum + byCode[code], 0)),
    inFlight: total(({ inFlight }) => inFlight),
    histogram,
  };
}

function difference(before: Float64Array, after: Float64Array): Float64Array {
  return after.map((count, bucket) => count - (before[bucket] ?? 0));
}
