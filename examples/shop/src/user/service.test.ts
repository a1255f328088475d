import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "bowline";
import { describe, expect, it } from "vitest";
import { GetUserRequestSchema, SaveAddressRequestSchema, Tier } from "../gen/shop/user/v1/user_pb.ts";
import { contextOf, failureOf, journalled } from "../testing.ts";
import { userHandlers } from "./service.ts";
import { Users } from "./users.ts";

const context = contextOf();
const boat = { street: "Pier 3, berth 12", city: "Bergen", postcode: "5003", country: "NO" };

function user() {
  const handlers = userHandlers(...journalled(new Users()));
  return {
    get: (id: bigint) => handlers.getUser(create(GetUserRequestSchema, { id }), context),
    save: (request: MessageInitShape<typeof SaveAddressRequestSchema>) =>
      handlers.saveAddress(create(SaveAddressRequestSchema, request), context),
  };
}

describe("UserService", () => {
  it("knows customers 1 to 1000 and nobody else", async () => {
    const { get } = user();
    expect(await get(7n)).toMatchObject({ id: 7n, name: "Hugo Holm", tier: Tier.GOLD, defaultAddress: "home" });
    for (const id of [0n, -1n, 1001n, 2n ** 62n]) expect((await failureOf(() => get(id))).code).toBe(Code.NOT_FOUND);
  });

  it("saves an address under a name, and saving it twice is saving it once", async () => {
    const { get, save } = user();
    const request = { userId: 7n, name: "boat", address: boat, makeDefault: true };
    const saved = await save(request);
    expect(saved).toMatchObject({ addresses: { home: {}, boat }, defaultAddress: "boat" });
    expect(await save(request)).toEqual(saved);
    expect(await get(7n)).toEqual(saved);
    expect(await get(8n)).not.toHaveProperty("addresses.boat");
  });

  it("refuses an address that nobody could deliver to", async () => {
    const address = { ...boat, country: "Norway" };
    const error = await failureOf(() => user().save({ userId: 7n, name: "boat", address }));
    expect(error.message).toBe("[INVALID_ARGUMENT] address.country: two capitals of ISO 3166-1, such as PT");
  });

  it("lets a customer have twenty addresses, and change them", async () => {
    const { save } = user();
    for (let i = 1; i < 20; i++) await save({ userId: 7n, name: `boat ${i}`, address: boat });
    expect((await failureOf(() => save({ userId: 7n, name: "one more", address: boat }))).code).toBe(
      Code.INVALID_ARGUMENT,
    );
    expect(await save({ userId: 7n, name: "boat 1", address: boat, makeDefault: true })).toMatchObject({
      defaultAddress: "boat 1",
    });
  });
});
