import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { type ProcessIdentity, systemProcessTable } from "./process-table.ts";

const hasProc = process.platform === "linux";

describe("the table of processes", () => {
  const table = systemProcessTable();
  const children: ChildProcess[] = [];
  const start = (script: string): ChildProcess => {
    const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    return child;
  };
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  /** The identity that a process on this machine would write into its lease. */
  function identityOf(pid: number): ProcessIdentity {
    const stat = hasProc ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
    return { ...table.self, pid, startTime: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "" };
  }

  /** Waits until the kernel's line about a process contains a text. */
  async function until(pid: number, text: string): Promise<void> {
    while (!readFileSync(`/proc/${pid}/stat`, "utf8").includes(text)) await new Promise(setImmediate);
  }

  it("knows this process", () => {
    expect(table.self.pid).toBe(process.pid);
    expect(table.state(table.self, true)).toBe("running");
    expect(table.self).toEqual(systemProcessTable().self);
  });

  it("knows processes of other users", () => {
    expect(table.state({ ...table.self, pid: 1, startTime: "" }, true)).toBe("running");
  });

  it("knows a running, a stopped and a killed process", async () => {
    const child = start("echo ready; exec sleep 60");
    await once(child.stdout as NodeJS.ReadableStream, "data");
    const identity = identityOf(child.pid as number);
    expect(table.state(identity, false)).toBe("running");
    child.kill("SIGSTOP");
    expect(table.state(identity, true)).toBe("running");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(table.state(identity, false)).toBe("gone");
    expect(table.state(identity, true)).toBe("gone");
  });

  it.runIf(hasProc)("takes another process with the same number for gone, when it looks closely", () => {
    const earlier = { ...table.self, startTime: "1" };
    expect(table.state(earlier, false)).toBe("running");
    expect(table.state(earlier, true)).toBe("gone");
  });

  it.runIf(hasProc)(
    "takes a process of which only the exit status is left for gone, when it looks closely",
    async () => {
      // The shell becomes a sleep, which never asks for the status of the shell's child.
      const child = start("sleep 60 & echo $!; exec sleep 60");
      const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
      const identity = identityOf(Number(String(line)));
      expect(table.state(identity, true)).toBe("running");
      await until(child.pid as number, "(sleep) S ");
      process.kill(identity.pid, "SIGKILL");
      await until(identity.pid, ") Z ");
      expect(table.state(identity, true)).toBe("gone");
    },
  );

  it("can't see into another container or machine", () => {
    expect(table.state({ ...table.self, pidSpace: "elsewhere" }, true)).toBe("unseen");
  });
});
