import { create } from "@bufbuild/protobuf";
import { encode, expectCodecError, outcomeOf } from "../harness/use-codec.ts";
import { invalidInit } from "../message/invalid-value.ts";
import { fault, type Property } from "./property.ts";

/** A value that a field can't have ends in one error that names the field by its path, however deep it lies. */
export const invalidValuesAreNamed: Property = ({ type: { desc, codec, judged }, chance }) => {
  const invalid = invalidInit(chance, desc, chance.int(0, 3));
  if (invalid === undefined) return;
  const { value, path } = invalid;
  const init = chance.odds(0.5) ? create(desc, invalid.init) : invalid.init;
  const seen = outcomeOf(() => encode(codec, init));
  // protobuf-es converts some of them, and names no path.
  if (judged === "dynamic") {
    if ("error" in seen) expectCodecError(seen.error, "encoding");
    return;
  }
  if ("value" in seen) fault(desc, "encoded a value that the field can't have", { path: path.join("."), value, init });
  const wrong = outcomeOf(() => expectCodecError(seen.error, "encoding"));
  if ("error" in wrong) fault(desc, String(wrong.error), { path: path.join("."), value, init });
  const { text } = wrong.value;
  if (!text.includes(desc.typeName) || !text.includes(path.join("."))) {
    fault(desc, `the error does not name the path: ${text}`, { path: path.join("."), value });
  }
};
