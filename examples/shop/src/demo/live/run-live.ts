import type { ReadStream, WriteStream } from "node:tty";
import { channelReport, reportOf } from "../../instance/report.ts";
import { Fleet } from "../fleet/fleet.ts";
import { Narrator } from "../fleet/narrator.ts";
import type { ShopRegistry } from "../fleet/shop-registry.ts";
import { type Figures, Statistics } from "../fleet/statistics.ts";
import { Traffic } from "../traffic/traffic.ts";
import { Controls } from "./controls.ts";
import { EventLog } from "./event-log.ts";
import { Failures } from "./failures.ts";
import { keysIn } from "./keys.ts";
import { painter } from "./paint.ts";
import { Screen } from "./screen.ts";
import { linesOf } from "./view.ts";

/** Where the demo is shown, and with what load it begins. */
export interface LiveOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  /** Deeds a second. */
  readonly rate: number;
  readonly registry: string;
  readonly hasColours: boolean;
}

const DRAW_MS = 250;
const LOOK_MS = 500;
/** Seconds of the past that may be shown. */
const HISTORY = 120;

/** Runs the shop and shows it until somebody quits. Resolves to the exit code when all is stopped and removed. */
export async function runLive({ input, output, rate, registry, hasColours }: LiveOptions): Promise<number> {
  const fleet = new Fleet();
  try {
    fleet.onEvent = (text) => output.write(`${text}\n`);
    await fleet.openRegistry(registry);
  } catch (error) {
    output.write(`${(error as Error).message}\n`);
    await fleet.close(false);
    return 1;
  }
  fleet.onEvent = () => {};
  const traffic = new Traffic(await fleet.clientOptions(), rate);
  const log = new EventLog();
  const say = (text: string): void => log.add(text);
  const failures = new Failures(say);
  traffic.onFailure = (call) => failures.add(call, performance.now());
  const screen = new Screen(output);
  const customers = new Statistics();
  const history: Figures[] = [];
  const startedAt = performance.now();
  const paint = painter(hasColours);

  return new Promise((resolve) => {
    const quit = ending(async (code) => {
      for (const timer of timers) clearInterval(timer);
      say("stopping …");
      draw();
      traffic.close();
      await fleet.close(false);
      input.setRawMode(false);
      input.pause();
      screen.close();
      resolve(code);
    });
    const controls = new Controls(fleet, traffic, say, () => quit(0));
    const draw = (): void => {
      const { columns, rows } = screen;
      const { selected, question } = controls;
      const now = performance.now();
      const figures = customers.figures(now);
      const registryState = registryInWords(
        fleet.registry,
        channelReport("storefront", traffic.shop.channel).freshness,
      );
      const { instances } = fleet;
      const { rate, ended, failed } = traffic;
      const past = { startedAt, ended, failed, customers: figures, history, events: log.events };
      screen.draw(
        linesOf({ columns, rows, now, registry: registryState, rate, instances, selected, question, ...past }, paint),
      );
    };
    let narrator: Narrator | null = null;
    const look = (): void => {
      const now = performance.now();
      const { channel } = traffic.shop;
      fleet.forget(now);
      customers.add(channel.stats.map(reportOf), now);
      narrator?.look(channelReport("storefront", channel), now);
    };
    const remember = (): void => {
      const figures = customers.figures(performance.now());
      if (figures !== null) history.push(figures);
      if (history.length > HISTORY) history.shift();
    };
    const timers = [setInterval(draw, DRAW_MS), setInterval(look, LOOK_MS), setInterval(remember, 1000)];
    stopOnSignals(quit, output);
    screen.open();
    input.setRawMode(true);
    input.on("data", (data) => {
      for (const key of keysIn(data.toString())) controls.press(key);
      draw();
    });
    output.on("resize", draw);
    say(`logs in ${fleet.folders.logs}`);
    say("starting …");
    fleet.startAll().then(
      () => {
        fleet.onEvent = say;
        narrator = new Narrator(fleet, say);
        traffic.start();
        say("customers come in");
      },
      (error: Error) => say(error.message),
    );
    draw();
  });
}

/** The registry, as the title shows it. */
function registryInWords({ name, canBeKilled, isRunning }: ShopRegistry, freshness: string): string {
  if (name === "local") return "embedded registry";
  if (!canBeKilled) return `${name} ${freshness}`;
  return `${name} ${isRunning ? freshness : "killed"}`;
}

/** However often and from wherever it is called, the end comes once. */
function ending(end: (code: number) => Promise<void>): (code: number) => void {
  let isEnding = false;
  return (code) => {
    if (isEnding) return;
    isEnding = true;
    void end(code);
  };
}

/** Being asked to stop, and the loss of the terminal. */
function stopOnSignals(quit: (code: number) => void, output: WriteStream): void {
  process.once("SIGTERM", () => quit(143));
  process.once("SIGINT", () => quit(130));
  process.once("SIGHUP", () => quit(129));
  output.once("error", () => quit(129));
}
