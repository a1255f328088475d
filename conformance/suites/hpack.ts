import { DecodeResult, HpackDecoder } from "../../packages/bowline/src/http2/hpack/decoder.ts";
import { type HpackField, type HpackStory, readHpackStories } from "../../test/data/hpack/stories.ts";
import type { CaseResult, Suite } from "../harness/suite.ts";
import { complete } from "./h2spec.ts";

/** Header blocks of all encoders, `raw-data` not counted. */
const CASES = 47_142;

/** Every header block that 14 encoders wrote, read by our decoder. The unit tests also let our encoder write the raw ones. */
export const hpack: Suite = {
  name: "hpack",
  about: "our HPACK decoder, by the 446 stories of http2jp/hpack-test-case",
  prepare: async () => ({}),
  run: async () => {
    const encoded = readHpackStories().filter(({ folder }) => folder !== "raw-data");
    return complete(encoded.flatMap(readStory), CASES, "");
  },
};

/** A story is a connection: one decoder, and after a block that it refuses the rest can't be right. */
function readStory({ folder, name, blocks }: HpackStory): CaseResult[] {
  const decoder = new HpackDecoder({
    tokens: new Map(),
    derive: (fields) => fields.map((field): HpackField => [field.name, field.value]),
  });
  return blocks.map(({ wire, tableBytes, fields }, number): CaseResult => {
    const id = `${folder}/${name}/${number}`;
    if (tableBytes !== undefined) decoder.setLimit(tableBytes);
    const [wanted, seen] = [JSON.stringify(fields), JSON.stringify(decode(decoder, wire))];
    if (wanted === seen) return { id, outcome: "passed" };
    return { id, outcome: "failed", detail: `wanted ${wanted}\nseen ${seen}` };
  });
}

/** The decoded fields, or the name of the failure. */
function decode(decoder: HpackDecoder, wire: Buffer): readonly HpackField[] | string {
  const result = decoder.decode(wire, 0, wire.length);
  if (result !== DecodeResult.OK) return `result ${result}`;
  const fields = decoder.hasPrefix ? [...(decoder.derived as HpackField[])] : [];
  for (let i = 0; i < decoder.count; i++) fields.push([decoder.name(i), decoder.value(i)]);
  return fields;
}
