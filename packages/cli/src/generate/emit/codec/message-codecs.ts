import type { DescMessage } from "@bufbuild/protobuf";
import { boundFunction } from "./bound-function.ts";
import { type CodecNames, type CodecScope, RUNTIME, runtime, schemaOf } from "./codec-scope.ts";
import { decodeFunction } from "./decode-function.ts";
import { encodeFunction } from "./encode-function.ts";
import { reserveNames } from "./value-code.ts";

/** Takes all names that the functions of these messages import: names within functions must not hide them. */
export function reserveForCodecs(scope: CodecScope): void {
  for (const message of scope.own.keys()) {
    schemaOf(scope, message);
    scope.source.type(scope.foreign.shape(message));
    for (const field of message.fields) reserveNames(scope, field);
  }
}

/** Prints the codec of each message: what calls, and whoever stores messages, are given. */
export function printCodecs(scope: CodecScope): void {
  if (scope.own.size === 0) return;
  const codec = scope.source.type({ name: "Codec", from: RUNTIME });
  for (const [message, names] of scope.own) {
    const shape = scope.source.type(scope.foreign.shape(message));
    const parts = `{ bound: ${names.bound}, encode: ${names.encode}, decode: ${names.decode} }`;
    scope.source.print(
      `/** ${message.typeName} as bytes. */`,
      `export const ${names.codec}: ${codec}<${shape}> = /*@__PURE__*/ ${runtime(scope, "messageCodec")}(`,
      `  ${schemaOf(scope, message)},`,
      `  ${parts},`,
      ");",
      "",
    );
  }
}

/** Prints the functions of each message. */
export function printFunctions(scope: CodecScope): void {
  let isFirst = true;
  for (const [message, names] of scope.own) {
    if (!isFirst) scope.source.print("");
    isFirst = false;
    printFunctionsOf(scope, message, names);
  }
}

function printFunctionsOf(scope: CodecScope, message: DescMessage, names: CodecNames): void {
  const shape = scope.source.type(scope.foreign.shape(message));
  const encodable = scope.source.type({ name: "Encodable", from: RUNTIME });
  const init = `${encodable}<typeof ${schemaOf(scope, message)}>`;
  scope.source.print(
    ...boundFunction(scope, message, names, init),
    "",
    ...encodeFunction(scope, message, names, init),
    "",
    ...decodeFunction(scope, message, names, shape),
  );
}
