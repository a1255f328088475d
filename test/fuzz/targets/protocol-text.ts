import { parseAcceptEncoding } from "../../../packages/bowline/src/codec/compression.ts";
import { badRequest, retryDelayMs } from "../../../packages/bowline/src/grpc/error-details.ts";
import { parseContentType } from "../../../packages/bowline/src/grpc/wire/http-status.ts";
import {
  decodeBase64,
  decodeMessage,
  encodeBase64,
  encodeMessage,
  metadataError,
  metadataFields,
  metadataFromFields,
} from "../../../packages/bowline/src/grpc/wire/metadata-headers.ts";
import { statusError, statusFields } from "../../../packages/bowline/src/grpc/wire/status.ts";
import { MAX_TIMEOUT_MS, parseTimeout, parseTimeoutText } from "../../../packages/bowline/src/grpc/wire/timeout.ts";
import { RpcError } from "../../../packages/bowline/src/rpc/rpc-error.ts";
import {
  parseTraceparent,
  parseTraceparentText,
  traceparentText,
} from "../../../packages/bowline/src/rpc/trace-context.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";

/** A character no header field may hold: it parts the values of an input. */
const SEPARATOR = "\n";
const MAX_NAMES = 16;

function judgeTimeout(text: string): void {
  const bytes = Buffer.from(text, "latin1");
  const timeoutMs = parseTimeoutText(text);
  if (timeoutMs !== parseTimeout(Buffer.concat([Buffer.from("9"), bytes, Buffer.from("9S")]), 1, bytes.length)) {
    fault(`grpc-timeout as text and as octets differ: ${JSON.stringify(text)}`);
  }
  // PROTOCOL-HTTP2.md: 1 to 8 digits and a unit.
  if (/^[0-9]{1,8}[HMSmun]$/.test(text) !== timeoutMs >= 0)
    fault(`grpc-timeout ${JSON.stringify(text)} came to ${timeoutMs}`);
  if (timeoutMs > MAX_TIMEOUT_MS) fault(`grpc-timeout of ${timeoutMs} ms`);
}

function judgeBase64(text: string): void {
  const bytes = decodeBase64(text);
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  if (bytes !== null && !isBase64) fault(`took ${JSON.stringify(text)} for base64`);
  if (bytes === null) return;
  const again = decodeBase64(encodeBase64(bytes));
  if (again === null || Buffer.compare(bytes, again) !== 0) fault("base64 changes on its way");
}

function judgeMetadata(values: readonly string[]): void {
  const fields = values.flatMap((value, index) => [["k", "k-bin", "grpc-x", "user-agent"][index % 4], value]);
  const error = metadataError(fields);
  if (error !== null && error.reason !== "protocol") fault(`metadata ended in ${String(error)}`);
  const metadata = metadataFromFields(fields);
  for (const [key, value] of metadata) {
    if (key.startsWith("grpc-") || key.endsWith("-bin") !== value instanceof Uint8Array) fault(`metadata hold ${key}`);
    if (typeof value === "string" && !/^[\x20-\x7e]*$/.test(value)) fault(`metadata hold ${JSON.stringify(value)}`);
  }
  metadataFields(metadata);
}

function judgeStatus(status: string | undefined, message: string | undefined, details: string | undefined): void {
  const error = statusError(status, message, details);
  if ((error === null) !== (status === "0")) fault(`grpc-status ${JSON.stringify(status)} came to ${String(error)}`);
  if (error === null) return;
  if (!RpcError.is(error) || error.code < 1 || error.code > 16) fault(`grpc-status came to code ${error.code}`);
  retryDelayMs(error);
  const sent = Object.fromEntries(statusFields(error, 1 << 20));
  const again = statusError(sent["grpc-status"], sent["grpc-message"], sent["grpc-status-details-bin"]);
  if (again?.code !== error.code || again.text !== error.text) {
    fault(`a status passed on as ${JSON.stringify(again?.text)} was ${JSON.stringify(error.text)}`);
  }
  if (again.details.length !== error.details.length) fault("details were lost on their way");
  if (Object.values(statusFields(error, 600)).some(([name, value]) => name.length + value.length > 600)) {
    fault("a status is larger than its bound");
  }
}

function judgeTrace(text: string): void {
  const bytes = Buffer.from(text, "latin1");
  const trace = parseTraceparentText(text);
  const ofBytes = parseTraceparent(bytes, 0, bytes.length);
  if ((trace === null) !== (ofBytes === null)) fault(`traceparent as text and as octets differ: ${text}`);
  if (trace !== null && ofBytes !== null && traceparentText(trace) !== traceparentText(ofBytes))
    fault(`traceparent ${text}`);
}

function seeds(): Buffer[] {
  const error = new RpcError(3, "ungültig", { details: [badRequest([{ field: "a", description: "b" }])] });
  const fields = Object.fromEntries(statusFields(error));
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  return [
    ["20S", "AAEC", fields["grpc-status"], fields["grpc-message"], fields["grpc-status-details-bin"], trace],
    ["99999999H", "AA==,AQ", "99", encodeMessage("100 % ü"), "", "application/grpc+proto;x=y"],
    ["1n", "a-_b", "0", "%", "CAMSAXg", "gzip;q=1, br"],
  ].map((values) => Buffer.from(values.join(SEPARATOR), "latin1"));
}

/** The texts of gRPC's header fields: deadline, `-bin` metadata, status, message, details, trace, encodings. */
export function protocolTextTarget(): FuzzTarget {
  return {
    name: "header-text",
    what: "-bin metadata, grpc-timeout, grpc-status, grpc-message, details, traceparent",
    covers: ["grpc/wire/", "rpc/trace-context.ts", "rpc/metadata.ts", "grpc/error-details.ts"],
    maxBytes: 1024,
    tokens: [
      "%",
      "%C3%BC",
      "%zz",
      "=",
      "==",
      ",",
      "grpc",
      "application/grpc",
      "00-",
      "n",
      "H",
      SEPARATOR,
      "-",
      "_",
    ].map((text) => Buffer.from(text)),
    seeds: seeds(),
    run(input) {
      const values = input.toString("latin1").split(SEPARATOR);
      for (const value of values) {
        judgeTimeout(value);
        judgeBase64(value);
        judgeTrace(value);
        decodeMessage(value);
        if (decodeMessage(encodeMessage(value)) !== value)
          fault(`grpc-message changes on its way: ${JSON.stringify(value)}`);
        parseContentType(value);
        if (parseAcceptEncoding(value).length > MAX_NAMES) fault("grpc-accept-encoding without a bound");
      }
      judgeMetadata(values);
      judgeStatus(values[2], values[3], values[4]);
    },
  };
}
