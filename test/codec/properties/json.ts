import { protobufCodec } from "bowline/codegen";
import { decode, describe, encode, outcomeOf } from "../harness/use-codec.ts";
import { randomMessage } from "../message/random-init.ts";
import { options } from "./encoding.ts";
import { difference, fault, type Property } from "./property.ts";

/** Under the content-subtype `json` a codec does what the codec without generated code does. */
export const jsonIsThatOfProtobufEs: Property = ({ type: { desc, codec }, chance }) => {
  const [ours, theirs] = [codec.as?.("json"), protobufCodec(desc).as?.("json")];
  if (ours === undefined || theirs === undefined) fault(desc, "has no JSON form", {});
  if (codec.as?.("json") !== ours) fault(desc, "has another JSON form each time", {});
  if (codec.as?.("text") !== undefined || codec.as?.("__proto__") !== undefined) fault(desc, "knows foreign forms", {});
  const message = randomMessage(chance, desc, options(1));
  const [seen, expected] = [outcomeOf(() => encode(ours, message)), outcomeOf(() => encode(theirs, message))];
  if ("error" in expected) {
    if ("value" in seen) fault(desc, "is encoded as JSON, but can't be", { message });
    return;
  }
  if ("error" in seen) throw seen.error;
  if (!seen.value.equals(expected.value)) fault(desc, "is other JSON", { seen: seen.value.toString() });
  const [back, wanted] = [outcomeOf(() => decode(ours, seen.value)), outcomeOf(() => decode(theirs, seen.value))];
  // A number that a closed enum does not know is written as JSON and not read.
  if ("error" in back && "error" in wanted && describe(back.error) === describe(wanted.error)) return;
  const apart = difference(back, wanted);
  if (apart !== undefined) fault(desc, `is read otherwise: ${apart}`, { json: seen.value.toString() });
};
