import { beforeAll, describe, expect, it } from "vitest";
import { MESSAGE_KINDS, messagesOf } from "../messages/message-kind.ts";
import { checkPasses } from "./check-passes.ts";
import { LIBRARIES } from "./libraries.ts";
import { generateProtobufjs } from "./protobufjs.ts";

beforeAll(generateProtobufjs);

describe.each(Object.keys(LIBRARIES))("%s", (name) => {
  it.each(MESSAGE_KINDS)("writes and reads what the messages of the kind %s hold", (kind) => {
    const set = messagesOf(kind);
    const passes = LIBRARIES[name].prepare(set);
    checkPasses(set, passes);
    const bytes = passes.encode?.() ?? 0;
    if (passes.encode !== undefined) expect(bytes).toBeGreaterThanOrEqual(name === "JSON" ? 1 : smallest(set.bytes));
    if (passes.decode !== undefined) expect(passes.decode()).toBeTypeOf("object");
  });
});

/** Sum of the bytes of all messages: no library writes them shorter. */
function smallest(bytes: readonly Uint8Array[]): number {
  return bytes.reduce((sum, each) => sum + each.length, 0);
}
