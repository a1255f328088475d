import { type FSWatcher, watch } from "node:fs";
import { basename, sep } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileError } from "../../file-error.ts";

/** Changes come in bursts: a save is several events, a checkout thousands. */
const QUIET_MS = 40;
/** A burst that does not end is not waited for any longer. */
const MAX_BURST_MS = 400;

/** Watches folders, without those below them, with node:fs, until the signal. */
export class FolderWatch {
  readonly #signal: AbortSignal;
  readonly #watchers = new Map<string, FSWatcher>();
  #changedAt: number | undefined;
  #wake: () => void = () => undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  /** Watches these folders, and no others any more. True if one was added; one that is gone meanwhile is passed over. */
  watchOnly(folders: ReadonlySet<string>): boolean {
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    const added = [...folders].filter((folder) => !this.#watchers.has(folder));
    return added.map((folder) => this.#add(folder)).includes(true);
  }

  /** Resolves when something in a folder has changed since the last call and then nothing for a moment, or at the signal. */
  async changed(): Promise<void> {
    if (this.#changedAt === undefined && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const begun = performance.now();
    while (!this.#signal.aborted && performance.now() - begun < MAX_BURST_MS) {
      const restMs = (this.#changedAt ?? 0) + QUIET_MS - performance.now();
      if (restMs <= 0) break;
      // Rejects at the signal, which the loop looks at.
      await setTimeout(restMs, undefined, { signal: this.#signal }).catch(() => undefined);
    }
    this.#changedAt = undefined;
  }

  /** Watches nothing any more. */
  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(folder: string): boolean {
    try {
      const watcher = watch(folder, (_, name) => {
        // A folder that is removed tells its own name. Another may stand in its place already, which nobody watches.
        if (name === basename(folder)) this.#drop(folder);
        else this.#noteChange();
      });
      watcher.on("error", () => this.#drop(folder));
      this.#watchers.set(folder, watcher);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw watchError(folder, error);
    }
  }

  /** To be watched anew if it is still there, and what is below it, which may have moved with it without a word. */
  #drop(folder: string): void {
    for (const [each, watcher] of this.#watchers) {
      if (each !== folder && !each.startsWith(folder + sep)) continue;
      watcher.close();
      this.#watchers.delete(each);
    }
    this.#noteChange();
  }

  #noteChange(): void {
    this.#changedAt = performance.now();
    this.#wake();
  }
}

/** Linux says "no space left on device" when a user's watches are used up. */
function watchError(folder: string, error: unknown): Error {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") return fileError("watch", folder, error);
  const limit = { message: "the system allows no more watches (fs.inotify.max_user_watches); name fewer folders" };
  return fileError("watch", folder, limit);
}
