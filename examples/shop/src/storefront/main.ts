// One instance of the storefront: node src/storefront/main.ts --name storefront-2
import { createClient, createServer } from "bowline";
import { InventoryService } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import { OrderService } from "../gen/shop/order/v1/order_rpc.ts";
import { StorefrontService } from "../gen/shop/storefront/v1/storefront_rpc.ts";
import { UserService } from "../gen/shop/user/v1/user_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { openRegistry } from "../instance/registry.ts";
import { runInstance } from "../instance/run-instance.ts";
import { storefrontHandlers } from "./service.ts";

const flags = readFlags("storefront");
const { name, listen, snapshotFolder, workMs } = flags;
const registry = await openRegistry(flags.registry, flags.namespace);

// No time limit of their own: a call made in a handler has the time that the handler's caller still waits.
const users = createClient(UserService, "shop.user", { registry, snapshotFolder, timeoutMs: 0 });
const orders = createClient(OrderService, "shop.order", { registry, snapshotFolder, timeoutMs: 0 });
const inventory = createClient(InventoryService, "shop.inventory", { registry, snapshotFolder, timeoutMs: 0 });

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.storefront", instanceId: name, listen, registry, interceptors });
server.add(StorefrontService, storefrontHandlers({ users, orders, inventory }));
await runInstance({ name, server, clients: { user: users, order: orders, inventory } });
