import type { Client } from "bowline";
import type { InventoryServiceClient } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import type { OrderServiceClient } from "../gen/shop/order/v1/order_rpc.ts";
import type { StorefrontServiceHandlers } from "../gen/shop/storefront/v1/storefront_rpc.ts";
import { Tier, type User } from "../gen/shop/user/v1/user_pb.ts";
import type { UserServiceClient } from "../gen/shop/user/v1/user_rpc.ts";
import { isQuantity, requireValid } from "../requests.ts";
import { liveStock } from "./live-stock.ts";
import { resumed } from "./resumed.ts";

/** What the storefront needs: it keeps nothing itself. */
export interface StorefrontDependencies {
  readonly users: Pick<Client<UserServiceClient>, "getUser">;
  readonly orders: Pick<Client<OrderServiceClient>, "placeOrder" | "getOrder" | "watchOrder">;
  readonly inventory: Pick<Client<InventoryServiceClient>, "listProducts" | "requestRestock" | "watchStock">;
}

/** StorefrontService: one call of a customer becomes the calls to others that it takes. */
export function storefrontHandlers({ users, orders, inventory }: StorefrontDependencies): StorefrontServiceHandlers {
  return {
    async browse({ userId, category }) {
      // Deadline and cancellation of the customer's call hold for both of these by themselves.
      const [user, { products, available }] = await Promise.all([
        users.getUser({ id: userId }),
        inventory.listProducts({ category }),
      ]);
      const offers = products.map((product) => ({ product, available: available[product.sku] ?? 0 }));
      return { greeting: greetingFor(user), offers };
    },

    async checkout({ idempotencyKey, userId, basket, shipTo, payment }) {
      const user = await users.getUser({ id: userId });
      const name = shipTo === "" ? user.defaultAddress : shipTo;
      const address = user.addresses[name];
      requireValid({ ship_to: address !== undefined || `one of ${Object.keys(user.addresses).join(", ")}` });
      return orders.placeOrder({ idempotencyKey, userId, basket, shipTo: address, payment });
    },

    getOrder: ({ orderId }) => orders.getOrder({ orderId }),

    trackOrder({ orderId }, { signal }) {
      return resumed(() => orders.watchOrder({ orderId }), signal);
    },

    async requestRestock({ userId, sku, quantity }) {
      requireValid({ quantity: isQuantity(quantity) });
      await users.getUser({ id: userId });
      return inventory.requestRestock({ sku, quantity });
    },

    liveStock: (requests, { signal }) => liveStock(inventory, requests, signal),
  };
}

function greetingFor({ name, tier }: User): string {
  const [firstName] = name.split(" ");
  return tier === Tier.GOLD ? `Welcome back, ${firstName}. Shipping is on us.` : `Welcome back, ${firstName}`;
}
