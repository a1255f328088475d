import type { MessageInit } from "bowline/codegen";
import type { TinySchema } from "../gen/bench/v1/tiny_pb.ts";
import { NAMES, Values } from "./values.ts";

/** Bytes of each message on the wire. */
export const TINY_BYTES = 24;
/** What is not name and user_id: three tags, the length of the name, the age. */
const FRAME_BYTES = 5;

/** The n-th of the tiny messages: name and number share the 24 bytes in different ways. */
export function tinyInit(index: number): MessageInit<typeof TinySchema> {
  const values = new Values(index);
  const name = NAMES[index % NAMES.length];
  const idBytes = TINY_BYTES - FRAME_BYTES - Buffer.byteLength(name);
  return { userId: values.bits(7 * idBytes - values.integer(6)), name, age: 18 + values.integer(70) };
}
