import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import type { CallKind } from "./answers.ts";
import { messagesOf } from "./message-kind.ts";

/** Git ignores it. */
const FOLDER = fileURLToPath(new URL("../../.cache/bench", import.meta.url));

/** Writes all messages of a kind, each behind its length, for peers that are not in JavaScript. Gives the path. */
export function writeRequestFile(kind: CallKind): string {
  const { schema, messages } = messagesOf(kind);
  const path = `${FOLDER}/requests-${kind}.bin`;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(path, Buffer.concat(messages.map((message) => sizeDelimitedEncode(schema, message))));
  return path;
}
