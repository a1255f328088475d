// One instance of the order service: node src/order/main.ts --name order-3
import { createClient, createServer } from "bowline";
import { InventoryService } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import { OrderService } from "../gen/shop/order/v1/order_rpc.ts";
import { PaymentService } from "../gen/shop/payment/v1/payment_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { openJournal } from "../instance/journal.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { openRegistry } from "../instance/registry.ts";
import { runInstance } from "../instance/run-instance.ts";
import { Orders } from "./orders.ts";
import { orderHandlers } from "./service.ts";

const flags = readFlags("order");
const { name, listen, snapshotFolder, journalFolder, workMs } = flags;
const registry = await openRegistry(flags.registry, flags.namespace);
const orders = new Orders();
const journal = openJournal(orders, journalFolder);

// No time limit of their own: a call made in a handler has the time that the handler's caller still waits.
const inventory = createClient(InventoryService, "shop.inventory", { registry, snapshotFolder, timeoutMs: 0 });
const payments = createClient(PaymentService, "shop.payment", { registry, snapshotFolder, timeoutMs: 0 });

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.order", instanceId: name, listen, registry, interceptors });
server.add(OrderService, orderHandlers({ orders, journal, inventory, payments }));
await runInstance({ name, server, journal, clients: { inventory, payment: payments } });
