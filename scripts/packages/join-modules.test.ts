import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, it } from "vitest";
import { joinModules, sourcesOf } from "./join-modules.ts";

const folder = mkdtempSync(join(tmpdir(), "bowline-join-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

it("joins what is always loaded, shares it among entries and halves, and keeps apart what is loaded on demand", async () => {
  write({
    "src/index.ts":
      'export { call } from "./client/create-client.ts";\nexport { serve } from "./server/create-server.ts";\n',
    "src/other.ts": 'import { shared } from "./deep/shared.ts";\nexport const other: object = shared;\n',
    "src/client/create-client.ts":
      'import { shared } from "../deep/shared.ts";\nexport const call = (): object => shared;\n',
    "src/server/create-server.ts":
      'import { shared } from "../deep/shared.ts";\nexport const serve = async (): Promise<unknown> => [shared, (await import("../late.ts")).late];\n',
    "src/deep/shared.ts": 'import { tmpdir } from "node:os";\nexport const shared: object = { tmpdir };\n',
    "src/late.ts": "export const late: number = 1;\n",
    "src/unused.ts": "export const unused: number = 1;\n",
  });
  await joinModules(folder, join(folder, "dist"), ["./src/index.ts", "./src/oth*.ts"]);

  const dist = (name: string): string => pathToFileURL(join(folder, "dist", name)).href;
  const index = (await import(dist("index.js"))) as { call(): object; serve(): Promise<[object, number]> };
  const { other } = (await import(dist("other.js"))) as { other: object };
  expect(index.call()).toBe(other);
  expect(await index.serve()).toEqual([other, 1]);
  const files = readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".js"),
  );
  const sources = files.map((name) => sourcesOf(readFileSync(join(folder, "dist", name), "utf8")));
  expect(sources.flat().sort()).toEqual([
    "client/create-client.ts",
    "deep/shared.ts",
    "index.ts",
    "late.ts",
    "other.ts",
    "server/create-server.ts",
  ]);
  expect(sources.find((each) => each.includes("client/create-client.ts"))).not.toContain("server/create-server.ts");
});

it("refuses a module that asks where it lies", async () => {
  write({ "src/index.ts": "export const here: string = import.meta.url;\n" });
  await expect(joinModules(folder, join(folder, "dist"), ["./src/index.ts"])).rejects.toThrow(
    "index.js uses import.meta, which differs in joined files",
  );
});
