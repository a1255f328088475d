import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";

/**
 * What a user gave, as a message of `schema`: itself if it is one, else made of the fields it has.
 *
 * @throws Error when it is another message or none
 */
export function messageOf<Desc extends DescMessage>(schema: Desc, given: MessageShape<Desc>): MessageShape<Desc> {
  const typeName = typeof given === "object" && given !== null ? given.$typeName : String(given);
  if (typeName === schema.typeName) return given;
  if (typeName === undefined) return create(schema, given);
  throw new TypeError(`it is ${typeName}`);
}

/** The error of a message that can't be encoded. */
export function encodeError(schema: DescMessage, format: string, cause: unknown): RpcError {
  return codecError(`can't encode ${schema.typeName}${format}: ${reasonOf(cause)}`, cause);
}

/** The error of bytes that are no message of this type. */
export function decodeError(schema: DescMessage, format: string, bytes: number, cause: unknown): RpcError {
  return codecError(`can't decode ${schema.typeName} from ${bytes} bytes${format}: ${reasonOf(cause)}`, cause);
}

function codecError(text: string, cause: unknown): RpcError {
  return new RpcError(Code.INTERNAL, text, { cause, reason: "codec" });
}

/** Parsers show values of the peer's: as much as helps to find them. */
const MAX_REASON = 300;

/** The text of what was thrown, whatever it is: getters of a user's objects may throw anything. */
export function reasonOf(cause: unknown): string {
  try {
    if (cause instanceof RangeError && cause.message.includes("call stack"))
      return "it is nested too deeply or holds itself";
    const text = cause instanceof Error ? cause.message : String(cause);
    return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
  } catch {
    return "what was thrown can't be shown";
  }
}
