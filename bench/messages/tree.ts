import type { MessageInit } from "bowline/codegen";
import type { TreeSchema } from "../gen/bench/v1/tree_pb.ts";
import { Values } from "./values.ts";

/** Levels of folders below one another; files lie in each. */
const DEPTH = 20;
const FILES = 22;
const FOLDERS = ["src", "protokoll", "généré", "include", "vendor", "测试"] as const;

/** The n-th of the trees: 20 folders, one in the other, with some 22 files each; about 10 kB. */
export function treeInit(index: number): MessageInit<typeof TreeSchema> {
  return folder(new Values(3000 + index), 1);
}

function folder(values: Values, level: number): MessageInit<typeof TreeSchema> {
  const files = Array.from({ length: FILES - 2 + values.integer(4) }, () => ({
    name: `file-${values.integer(10_000)}.proto`,
    size: BigInt(values.integer(60_000)),
  }));
  const folders = level < DEPTH ? [folder(values, level + 1)] : [];
  return { name: values.of(FOLDERS), size: BigInt(-level), children: [...folders, ...files] };
}
