import {
  clone,
  type DescMessage,
  equals,
  fromBinary,
  fromJson,
  isMessage,
  type Message,
  type Registry,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { decode, describe, outcomeOf } from "../harness/use-codec.ts";
import { randomMessage } from "../message/random-init.ts";
import { wireVerdict } from "../message/wire-verdict.ts";
import { options } from "./encoding.ts";
import { difference, fault, type Property } from "./property.ts";

/** What protobuf-es does with a decoded message is what it does with one that it decoded itself. */
export const decodedMessagesAreOfTheEcosystem: Property = ({ type: { desc, codec }, chance, registry }) => {
  const bytes = toBinary(desc, randomMessage(chance, desc, options(2)));
  // What protobuf-es forgot it can't show.
  if (wireVerdict(desc, bytes) !== "sound") return;
  const ours = decode(codec, bytes);
  const theirs = fromBinary(desc, bytes);
  if (!isMessage(ours, desc)) fault(desc, "is no message of protobuf-es", { bytes });
  for (const [name, use] of Object.entries(USES)) {
    const expected = outcomeOf(() => use(desc, theirs, registry));
    const seen = outcomeOf(() => use(desc, ours, registry));
    if ("error" in expected && "error" in seen && describe(expected.error) === describe(seen.error)) continue;
    const apart = difference(seen, expected);
    if (apart !== undefined) fault(desc, `${name} differs: ${apart}`, { bytes });
  }
};

const USES: Readonly<Record<string, (desc: DescMessage, message: Message, registry: Registry) => unknown>> = {
  toJson: (desc, message, registry) => toJson(desc, message, { registry }),
  "toJson and fromJson": (desc, message, registry) => fromJson(desc, toJson(desc, message, { registry }), { registry }),
  clone: (desc, message) => clone(desc, message),
  equals: (desc, message) => equals(desc, message, clone(desc, message)),
  reflect: (desc, message) => {
    const reflected = reflect(desc, message);
    return desc.fields.map((field) => reflected.isSet(field));
  },
};
