import { Fleet } from "../fleet/fleet.ts";
import { printed, reportOf } from "./report.ts";
import { runScenario } from "./scenario.ts";
import { judge } from "./verdict.ts";

/** How the scenario is run, and where its report goes. */
export interface HeadlessOptions {
  readonly seconds: number;
  readonly rate: number;
  readonly registry: string;
  /** Prints nothing but the one line of JSON. */
  readonly json: boolean;
}

/** Runs the scenario. Prints what happens, the report, and as the last line the report as JSON. Resolves to the exit code. */
export async function runHeadless({ seconds, rate, registry, json }: HeadlessOptions): Promise<number> {
  const say = (text: string): void => {
    if (!json) console.log(text);
  };
  const fleet = new Fleet();
  const stop = stopOnSignals(fleet);
  const begun = performance.now();
  const onEvent = (text: string): void =>
    say(`${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${text}`);
  say(`The shop in namespace ${fleet.folders.namespace}, ${rate} calls a second; logs in ${fleet.folders.logs}`);
  fleet.onEvent = onEvent;
  let isOk = false;
  try {
    await fleet.openRegistry(registry);
    const facts = await runScenario(fleet, { rate, seconds, onEvent });
    const report = reportOf(facts, judge(facts));
    isOk = report.ok;
    say(printed(report));
    if (!isOk) say(`Logs are kept in ${fleet.folders.logs}`);
    console.log(JSON.stringify(report));
  } catch (error) {
    console.error((error as Error).stack);
    console.log(JSON.stringify({ ok: false, phases: [], assertions: [], error: (error as Error).message }));
  } finally {
    stop();
    await fleet.close(!isOk);
  }
  return isOk ? 0 : 1;
}

/** Whoever asks this process to stop gets all of them stopped. */
function stopOnSignals(fleet: Fleet): () => void {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  const stops = Object.entries(codes).map(([signal, code]) => {
    const stop = (): void => void fleet.close(false).finally(() => process.exit(code));
    process.once(signal, stop);
    return () => process.off(signal, stop);
  });
  return () => {
    for (const each of stops) each();
  };
}
