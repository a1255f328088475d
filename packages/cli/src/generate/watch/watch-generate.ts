import { relative } from "node:path";
import { CommandError } from "../../command-error.ts";
import type { Terminal } from "../../terminal.ts";
import { readSettings, runGenerate } from "../run.ts";
import type { GenerateRequest } from "../settings.ts";
import { FolderWatch } from "./folder-watch.ts";
import { differ, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { type WatchedPlaces, watchedPlaces } from "./watched-places.ts";

/**
 * Generates, and again each time that a .proto file, a folder of them, or a configuration changes, until the signal. Faults are
 * shown, and the next change is waited for; a CommandError ends it only when folders can't be watched.
 */
export async function watchGenerate(request: GenerateRequest, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const watch = new FolderWatch(signal);
  try {
    let before: Snapshot | undefined;
    while (!signal.aborted) {
      const { places, snapshot } = await settled(request, watch);
      if (before === undefined || differ(before, snapshot)) {
        const begun = performance.now();
        await runOnce(request, terminal, signal);
        if (!signal.aborted) showWaiting(request, places, performance.now() - begun, terminal);
      }
      before = snapshot;
      await watch.changed();
    }
  } finally {
    watch.close();
  }
}

/**
 * The places as they are, with all their folders watched: from here on nothing is missed. A folder that appeared between the look
 * and the watch is looked into again.
 */
async function settled(
  request: GenerateRequest,
  watch: FolderWatch,
): Promise<{ places: WatchedPlaces; snapshot: Snapshot }> {
  for (;;) {
    const settings = await readSettings(request).catch(() => []);
    const places = await watchedPlaces(request, settings);
    const snapshot = await takeSnapshot(places);
    if (!watch.watchOnly(snapshot.folders)) return { places, snapshot };
  }
}

async function runOnce(request: GenerateRequest, terminal: Terminal, signal: AbortSignal): Promise<void> {
  try {
    await runGenerate(request, terminal, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof CommandError)) throw error;
    terminal.error(error.message, error.hint);
  }
}

function showWaiting(request: GenerateRequest, places: WatchedPlaces, tookMs: number, terminal: Terminal): void {
  const shown = places.trees.map((tree) => relative(request.cwd, tree) || ".");
  const watched = shown.length === 0 ? places.files.map((file) => relative(request.cwd, file)) : shown;
  const text = `${(tookMs / 1000).toFixed(2)} s; watching ${watched.join(", ")}, Ctrl-C ends`;
  terminal.writeError(`${terminal.paintFaint(text)}\n`);
}
