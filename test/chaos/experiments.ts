import type { Experiment } from "./experiment.ts";
import { badLink } from "./experiments/bad-link.ts";
import { blackHole } from "./experiments/black-hole.ts";
import { blockedLoop } from "./experiments/fleet/blocked-loop.ts";
import { clientChurn } from "./experiments/fleet/client-churn.ts";
import { clockJump } from "./experiments/fleet/clock-jump.ts";
import { deadlines } from "./experiments/fleet/deadlines.ts";
import { freeze } from "./experiments/fleet/freeze.ts";
import { kill } from "./experiments/fleet/kill.ts";
import { rollingRestart } from "./experiments/fleet/rolling-restart.ts";
import { slowConsumer } from "./experiments/fleet/slow-consumer.ts";
import { tls } from "./experiments/fleet/tls.ts";
import { upgradeSkew } from "./experiments/fleet/upgrade-skew.ts";
import { resetStorm } from "./experiments/reset-storm.ts";
import { changingSettings } from "./experiments/wire/changing-settings.ts";
import { goaway } from "./experiments/wire/goaway.ts";
import { refusedStreams } from "./experiments/wire/refused-streams.ts";

/** All experiments, by number. */
export const experiments: readonly Experiment[] = [
  rollingRestart,
  kill,
  freeze,
  blackHole,
  resetStorm,
  badLink,
  goaway,
  refusedStreams,
  deadlines,
  slowConsumer,
  blockedLoop,
  tls,
  clientChurn,
  changingSettings,
  clockJump,
  upgradeSkew,
].sort((a, b) => a.number - b.number);
