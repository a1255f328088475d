// One instance of the inventory. Start as many as you like: node src/inventory/main.ts --name inventory-3
import { createServer } from "bowline";
import { InventoryService } from "../gen/shop/inventory/v1/inventory_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { openJournal } from "../instance/journal.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { openRegistry } from "../instance/registry.ts";
import { runInstance } from "../instance/run-instance.ts";
import { inventoryHandlers } from "./service.ts";
import { Stock } from "./stock.ts";

const flags = readFlags("inventory");
const { name, listen, journalFolder, workMs } = flags;
const registry = await openRegistry(flags.registry, flags.namespace);
const stock = new Stock();
const journal = openJournal(stock, journalFolder);

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.inventory", instanceId: name, listen, registry, interceptors });
server.add(InventoryService, inventoryHandlers(stock, journal));
await runInstance({ name, server, journal });
