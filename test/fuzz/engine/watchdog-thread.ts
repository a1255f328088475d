// The thread of Watchdog: looks every tenth of `hangMs` whether the same input still runs, and how much memory there is.
import { mkdirSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { workerData } from "node:worker_threads";
import { Shared, type WatchdogOptions } from "./watchdog.ts";

const { file, hangMs, maxResidentBytes, shared } = workerData as WatchdogOptions & { shared: SharedArrayBuffer };
const numbers = new Int32Array(shared, 0, Shared.COUNT);
const bytes = new Uint8Array(shared, Shared.COUNT * 4);
const LOOKS = 10;

let sequence = -1;
let looks = 0;
for (;;) {
  pause(hangMs / LOOKS);
  const now = Atomics.load(numbers, Shared.SEQUENCE);
  const isBusy = Atomics.load(numbers, Shared.IS_BUSY) === 1;
  looks = isBusy && now === sequence ? looks + 1 : 0;
  sequence = now;
  if (looks > LOOKS) stop(`one input ran for more than ${hangMs} ms`);
  const { rss } = process.memoryUsage();
  if (rss > maxResidentBytes) stop(`the process holds ${rss >> 20} MiB, ${maxResidentBytes >> 20} are allowed`);
}

/** Nobody wakes it: a pause without a timer. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function stop(why: string): never {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes.slice(0, Atomics.load(numbers, Shared.LENGTH)));
  writeSync(1, `${JSON.stringify({ stopped: why, file })}\n`);
  // The other thread can't be asked to end.
  process.kill(process.pid, "SIGKILL");
  for (;;) pause(hangMs);
}
