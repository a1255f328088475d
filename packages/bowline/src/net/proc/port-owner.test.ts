import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { portOwner, unixSocketOwner } from "./port-owner.ts";

describe.runIf(process.platform === "linux")("portOwner", () => {
  it("names process and command of another process", async () => {
    const script =
      'const s = require("net").createServer().listen(0, () => process.stdout.write(String(s.address().port)))';
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const [port] = await once(child.stdout, "data");
    const owner = await portOwner(Number(port));
    child.kill();
    await exited;
    expect(owner).toMatch(new RegExp(`^process ${child.pid} \\(.*node.*\\)$`));
    expect(owner?.length).toBeLessThan(120);
    expect(await portOwner(Number(port))).toBeUndefined();
  });

  it("names nobody where nobody listens", async () => {
    expect(await portOwner(1)).toBeUndefined();
    expect(await unixSocketOwner("/nowhere")).toBeUndefined();
  });
});
