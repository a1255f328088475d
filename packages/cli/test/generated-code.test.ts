import { execFile } from "node:child_process";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, fromBinary, getExtension, setExtension, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { fromBytes, toBytes } from "bowline";
import { describe, expect, it } from "vitest";
import { generate } from "../src/generate/run.ts";
import * as clash from "./golden/gen/clash/v1/services_rpc.ts";
import { LegacySchema, note } from "./golden/gen/legacy_pb.ts";
import { LegacyService } from "./golden/gen/legacy_rpc.ts";
import { Money_Kind, MoneySchema } from "./golden/gen/shop/v1/money_pb.ts";
import { OrderSchema, OrderState } from "./golden/gen/shop/v1/order_pb.ts";
import { OrderService } from "./golden/gen/shop/v1/order_rpc.ts";
import { packageFolder, workspaceFolder } from "./workspace-folder.ts";

const run = promisify(execFile);
const binaries = join(packageFolder, "../../node_modules/.bin");

/** Everything that a careful project switches on. */
const COMPILER_OPTIONS = {
  target: "es2023",
  lib: ["es2024", "esnext.disposable"],
  types: ["node"],
  strict: true,
  declaration: true,
  erasableSyntaxOnly: true,
  exactOptionalPropertyTypes: true,
  isolatedDeclarations: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
  skipLibCheck: true,
  noEmit: true,
};

/** Generates everything below test/proto into a folder of its own, beside a file that uses it. */
async function project(extension: "ts" | "js" | "none", compilerOptions: object): Promise<string> {
  const folder = await workspaceFolder();
  const proto = join(packageFolder, "test/proto");
  await generate({ cwd: folder, paths: [proto], out: "gen", importExtension: extension });
  const use = await readFile(join(packageFolder, "test/golden/use-shop.ts"), "utf8");
  await writeFile(
    join(folder, "use-shop.ts"),
    use.replaceAll('.ts";', extension === "none" ? '";' : `.${extension}";`),
  );
  const config = { compilerOptions: { ...COMPILER_OPTIONS, ...compilerOptions }, include: ["."] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  return folder;
}

/** What the compiler says of the files in the folder, not of Bowline's own. */
async function typeErrors(folder: string): Promise<string[]> {
  const options = { cwd: folder, encoding: "utf8" } as const;
  const { stdout } = await run(process.execPath, [join(binaries, "../typescript/bin/tsc"), "-p", "."], options).catch(
    (error) => error,
  );
  return String(stdout)
    .split("\n")
    .filter((line) => /^(gen|use-shop)/.test(line));
}

describe("generated code", () => {
  it("is what is kept in test/golden; `bowline generate test/proto --out test/golden/gen --clean` brings it up to date", async () => {
    const options = { cwd: packageFolder, paths: ["test/proto"], out: "test/golden/gen", check: true, clean: true };
    const { files } = await generate(options);
    expect(files.filter((file) => file.state !== "unchanged").map((file) => `${file.state} ${file.path}`)).toEqual([]);
    expect(files).toHaveLength(17);
  });

  it("compiles under strict settings, with each kind of import", { timeout: 60_000 }, async () => {
    const nodeNext = { module: "nodenext", moduleResolution: "nodenext" };
    const kinds = [
      ["ts", { ...nodeNext, allowImportingTsExtensions: true }],
      ["js", { ...nodeNext, allowImportingTsExtensions: true }],
      ["none", { module: "esnext", moduleResolution: "bundler", allowImportingTsExtensions: true }],
    ] as const;
    for (const [extension, options] of kinds) {
      const folder = await project(extension, options);
      expect(await typeErrors(folder)).toEqual([]);
    }
  });

  it("is noticed by the compiler when it is wrong, so that the test above can fail", { timeout: 30_000 }, async () => {
    const folder = await project("ts", {
      module: "nodenext",
      moduleResolution: "nodenext",
      allowImportingTsExtensions: true,
    });
    const path = join(folder, "gen/shop/v1/order_rpc.ts");
    await writeFile(path, (await readFile(path, "utf8")).replace('kind: "unary"', 'kind: "unity"'));
    expect(await typeErrors(folder)).toHaveLength(1);
  });

  it("has nothing that Biome's recommended rules or its import order object to", async () => {
    const folder = await workspaceFolder({ "biome.json": '{ "root": true, "formatter": { "enabled": false } }' });
    const gen = join(packageFolder, "test/golden/gen");
    const services = (await readdir(gen, { recursive: true })).filter((path) => path.endsWith("_rpc.ts"));
    expect(services).toHaveLength(8);
    for (const path of services) await cp(join(gen, path), join(folder, path));
    const biome = [join(binaries, "biome"), "check", "--config-path", folder, "--vcs-enabled=false", ...services];
    const { stdout, stderr } = await run(process.execPath, biome, { cwd: folder, encoding: "utf8" });
    expect(stdout + stderr).toContain("Checked 8 files");
  });

  it("runs in Node as it is, without a build", async () => {
    const url = new URL("./golden/gen/shop/v1/order_rpc.ts", import.meta.url).href;
    const program = `const { OrderService } = await import(${JSON.stringify(url)}); console.log(OrderService.typeName);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
    expect(stdout).toBe("shop.v1.OrderService\n");
  });
});

describe("a generated service", () => {
  it("describes its methods", () => {
    const methods = Object.values(OrderService.methods).map(({ input: _i, output: _o, ...rest }) => rest);
    expect(methods).toEqual([
      {
        name: "GetOrder",
        localName: "getOrder",
        kind: "unary",
        path: "/shop.v1.OrderService/GetOrder",
        idempotency: "none",
      },
      {
        name: "Cancel",
        localName: "cancel",
        kind: "unary",
        path: "/shop.v1.OrderService/Cancel",
        idempotency: "idempotent",
      },
      {
        name: "Watch",
        localName: "watch",
        kind: "server-stream",
        path: "/shop.v1.OrderService/Watch",
        idempotency: "unknown",
      },
      {
        name: "Upload",
        localName: "upload",
        kind: "client-stream",
        path: "/shop.v1.OrderService/Upload",
        idempotency: "unknown",
      },
      {
        name: "Chat",
        localName: "chat",
        kind: "bidi-stream",
        path: "/shop.v1.OrderService/Chat",
        idempotency: "unknown",
      },
    ]);
    expect(LegacyService.methods.get.path).toBe("/LegacyService/Get");
  });

  it("lists its methods by their local names, whatever they are called", () => {
    for (const [key, method] of Object.values(clash).flatMap((service) => Object.entries(service.methods))) {
      expect(method.localName).toBe(key);
      expect(method.path.endsWith(`/${method.name}`)).toBe(true);
    }
    expect(Object.keys(clash.Client.methods)).toEqual([
      "constructor$",
      "then$",
      "catch",
      "toString$",
      "toJSON$",
      "valueOf$",
      "delete",
      "new",
      "hasOwnProperty$",
      "__proto__$",
      "get_user",
    ]);
    expect(clash.Promise$.typeName).toBe("clash.services.v1.Promise");
    expect(clash.Nothing.methods).toEqual({});
  });

  it("carries the files that reflection tells", () => {
    const files = OrderService.files?.().map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)) ?? [];
    const names = files.map((file) => file.name);
    expect(names[0]).toBe("shop/v1/order.proto");
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("google/rpc/status.proto");
    expect(names).toContain("google/protobuf/descriptor.proto");
    for (const file of files) expect(names).toEqual(expect.arrayContaining(file.dependency));
    expect(files[0].service[0].method.map((method) => method.name)).toEqual([
      "GetOrder",
      "Cancel",
      "Watch",
      "Upload",
      "Chat",
    ]);
  });

  it("encodes what a handler returns and decodes it as a message", () => {
    const { output } = OrderService.methods.getOrder;
    const order = {
      id: 7n,
      state: OrderState.OPEN,
      lines: [{ sku: "a", count: 2, price: { currency: "EUR", cents: -1n } }],
      bySku: { a: { sku: "a" }, __proto__x: {} },
      byNumber: { "-9223372036854775808": "low" },
      delivery: { seconds: 90n },
      coupon: "free",
      extra: { a: [1, null, { b: true }] },
      remark: "",
      signature: Uint8Array.of(1, 2),
    };
    const bytes = toBytes(output, order);
    expect(bytes).toEqual(toBinary(OrderSchema, create(OrderSchema, order)));
    const decoded = fromBytes(output, bytes);
    expect(decoded).toEqual(create(OrderSchema, order));
    expect(decoded).toMatchObject({ $typeName: "shop.v1.Order", id: 7n, remark: "", coupon: "free" });
  });

  it("keeps proto2's and editions' presence, groups and extensions", () => {
    const codec = LegacyService.methods.get.input;
    const legacy = create(LegacySchema, { name: "x", inner: { on: false } });
    setExtension(legacy, note, "extended");
    const decoded = fromBytes(codec, toBytes(codec, legacy)) as typeof legacy;
    expect(decoded).toMatchObject({ name: "x", size: 42, inner: { on: false } });
    expect(Object.hasOwn(decoded, "size")).toBe(false);
    expect(getExtension(decoded, note)).toBe("extended");
    expect(() => toBytes(codec, create(LegacySchema))).toThrow(/can't encode Legacy: name: it is required/);
    expect(create(MoneySchema).cents).toBe(5n);
    expect(Money_Kind.NET).toBe(1);
  });

  it("streams events with a oneof", () => {
    const codec = OrderService.methods.watch.output;
    const event = { at: timestampFromMs(1500), what: { case: "added", value: { sku: "x" } } };
    expect(fromBytes(codec, toBytes(codec, event))).toMatchObject({
      at: { seconds: 1n },
      what: { case: "added", value: { sku: "x", count: 0 } },
    });
  });
});
