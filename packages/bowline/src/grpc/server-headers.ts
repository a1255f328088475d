import { boundedCodec, type Codec } from "../codec/codec.ts";
import { acceptEncoding } from "../codec/compression.ts";
import type { HeaderEntry } from "../http2/hpack/decoder.ts";
import { PreparedBlock } from "../http2/hpack/prepared-block.ts";
import type { Method } from "../rpc/method.ts";
import type { ServerRoute } from "./server-transport.ts";
import { readFields } from "./wire/header-fields.ts";

/** A method under one content type: how its messages are read and written, and what its answers begin with. */
export interface MethodFormat {
  readonly input: Codec<unknown>;
  readonly output: Codec<unknown>;
  readonly headers: ResponseHeaders;
}

/** The beginnings of all answers with one content type; prepared once for all connections of a server. */
export interface ResponseHeaders {
  readonly plain: PreparedBlock;
  /** With a `grpc-encoding`. */
  compressed(encoding: string): PreparedBlock;
}

/** Header blocks that a server sends again and again, and the reading of requests: one for all its connections. */
export interface ServerHeaders {
  readonly okTrailers: PreparedBlock;
  /**
   * The format of a call whose content type names `subtype`, empty for `application/grpc` alone: that is whatever the method's own
   * codecs speak. Null when the method does not speak it.
   */
  format(route: ServerRoute, subtype: string): MethodFormat | null;
  /** For an answer without messages: the content type of the request if it is a known one, as clients expect it. */
  refusal(subtype: string): PreparedBlock;
  readonly derive: (fields: readonly HeaderEntry[]) => unknown;
}

/** Makes the header blocks of a server that finds its routes by `route`, and whose requests may take so much memory, see `ServerOptions`. */
export function serverHeaders(route: (path: string) => ServerRoute | null, maxDecodedBytes?: number): ServerHeaders {
  const formats: WeakMap<ServerRoute, Map<string, MethodFormat>> = new WeakMap();
  const bySubtype: Map<string, ResponseHeaders> = new Map();
  let slots = 0;
  const nextSlot = (): number => slots++;
  const okTrailers = new PreparedBlock(nextSlot(), [["grpc-status", "0"]]);
  const headersFor = (subtype: string): ResponseHeaders => {
    let headers = bySubtype.get(subtype);
    if (headers === undefined) {
      headers = responseHeaders(subtype, nextSlot);
      bySubtype.set(subtype, headers);
    }
    return headers;
  };
  for (const each of ["proto", "", "json"]) headersFor(each);
  const format = (of: ServerRoute, subtype: string): MethodFormat | null => {
    const known = formats.get(of) ?? new Map<string, MethodFormat>();
    const found = known.get(subtype);
    if (found !== undefined) return found;
    const codecs = codecsOf(of.method, subtype);
    if (codecs === null) return null;
    const made = { ...codecs, input: boundedCodec(codecs.input, maxDecodedBytes), headers: headersFor(subtype) };
    formats.set(of, known.set(subtype, made));
    return made;
  };
  return {
    okTrailers,
    format,
    refusal: (subtype) => (bySubtype.get(subtype) ?? headersFor("proto")).plain,
    derive(entries) {
      const fields = readFields(entries);
      const found = fields.path === "" ? null : route(fields.path);
      fields.route = found;
      fields.format = found === null || fields.subtype === null ? null : format(found, fields.subtype);
      return fields;
    },
  };
}

function codecsOf(method: Method, subtype: string): Pick<MethodFormat, "input" | "output"> | null {
  if (subtype === "" || subtype === method.input.name) return { input: method.input, output: method.output };
  const input = method.input.as?.(subtype);
  const output = method.output.as?.(subtype);
  return input === undefined || output === undefined ? null : { input, output };
}

function responseHeaders(subtype: string, nextSlot: () => number): ResponseHeaders {
  const constant: (readonly [string, string])[] = [
    [":status", "200"],
    ["content-type", subtype === "" ? "application/grpc" : `application/grpc+${subtype}`],
    ["grpc-accept-encoding", acceptEncoding],
  ];
  const byEncoding = new Map<string, PreparedBlock>();
  return {
    plain: new PreparedBlock(nextSlot(), constant),
    compressed(encoding) {
      let block = byEncoding.get(encoding);
      if (block === undefined) {
        block = new PreparedBlock(nextSlot(), [...constant, ["grpc-encoding", encoding]]);
        byEncoding.set(encoding, block);
      }
      return block;
    },
  };
}
