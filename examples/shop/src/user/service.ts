import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInit } from "bowline/codegen";
import { type SaveAddressRequest, Tier, type UserSchema } from "../gen/shop/user/v1/user_pb.ts";
import type { UserServiceHandlers } from "../gen/shop/user/v1/user_rpc.ts";
import type { Journal } from "../instance/journal.ts";
import { notFound, requireValid } from "../requests.ts";
import type { AddressSaved, Customer, Home, Users } from "./users.ts";

const TIERS = { guest: Tier.GUEST, member: Tier.MEMBER, gold: Tier.GOLD } as const;
/** Addresses that a customer may have. */
const MAX_ADDRESSES = 20;

/** UserService: reads and changes customers. */
export function userHandlers(users: Users, journal: Journal<AddressSaved>): UserServiceHandlers {
  const find = (id: bigint): Customer => {
    journal.catchUp();
    const user = users.find(Number(id));
    if (user === undefined) throw notFound("user", String(id));
    return user;
  };
  return {
    getUser: ({ id }) => toUser(find(id)),

    saveAddress(request) {
      const { userId, name, makeDefault } = request;
      const user = find(userId);
      const address = checkedAddress(request);
      if (!(name in user.addresses) && Object.keys(user.addresses).length >= MAX_ADDRESSES) {
        requireValid({ name: `one of those that the user has: ${MAX_ADDRESSES} addresses are the most` });
      }
      journal.append({ userId: user.id, name, address, makeDefault });
      return toUser(find(userId));
    },
  };
}

/** The address of a request. @throws RpcError INVALID_ARGUMENT that names each field that is wrong */
function checkedAddress({ name, address }: SaveAddressRequest): Home {
  const { street = "", city = "", postcode = "", country = "" } = address ?? {};
  requireValid({
    name: (name.length > 0 && name.length <= 40) || "1 to 40 characters",
    "address.street": (street.length > 0 && street.length <= 200) || "1 to 200 characters",
    "address.city": (city.length > 0 && city.length <= 100) || "1 to 100 characters",
    "address.postcode": (postcode.length > 0 && postcode.length <= 12) || "1 to 12 characters",
    "address.country": /^[A-Z]{2}$/.test(country) || "two capitals of ISO 3166-1, such as PT",
  });
  return { street, city, postcode, country };
}

function toUser({ id, name, email, tier, addresses, defaultAddress, since }: Customer): MessageInit<typeof UserSchema> {
  return {
    id: BigInt(id),
    name,
    email,
    tier: TIERS[tier],
    addresses,
    defaultAddress,
    since: timestampFromMs(since),
  };
}
