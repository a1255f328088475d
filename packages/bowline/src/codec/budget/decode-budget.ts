import type { DescMessage } from "@bufbuild/protobuf";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/** What the objects of one message may take in memory; messages of more than 4 MiB on the wire eight times their size. */
export const MIN_BUDGET_BYTES: number = 32 << 20;
const BUDGET_PER_BYTE = 8;
/** Numbers in a list take eight times their bytes on the wire; this is for the message around them. */
const BUDGET_BESIDES = 65_536;

/** What the objects of a message of `bytes` on the wire may take; `maxDecodedBytes` is what the user allows, undefined: the default. */
export function decodeBudget(maxDecodedBytes: number | undefined, bytes: number): number {
  return maxDecodedBytes ?? Math.max(MIN_BUDGET_BYTES, BUDGET_PER_BYTE * bytes + BUDGET_BESIDES);
}

/** The error of a message of `bytes` on the wire, in the form `format`, whose objects would take more than they may. */
export function overBudget(schema: DescMessage, format: string, bytes: number, maxDecodedBytes?: number): RpcError {
  const most = maxDecodedBytes === undefined ? "32 MiB and 8 times that" : `${maxDecodedBytes} bytes`;
  const text = `can't decode ${schema.typeName} from ${bytes} bytes${format}: its objects would take more than ${most} (maxDecodedBytes); send it in parts`;
  return new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" });
}
