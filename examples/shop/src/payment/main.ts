// One instance of the payment service: node src/payment/main.ts --name payment-2
import { createServer } from "bowline";
import { PaymentService } from "../gen/shop/payment/v1/payment_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { openJournal } from "../instance/journal.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { openRegistry } from "../instance/registry.ts";
import { runInstance } from "../instance/run-instance.ts";
import { Payments } from "./payments.ts";
import { paymentHandlers } from "./service.ts";

const flags = readFlags("payment");
const { name, listen, journalFolder, workMs } = flags;
const registry = await openRegistry(flags.registry, flags.namespace);
const payments = new Payments();
const journal = openJournal(payments, journalFolder);

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.payment", instanceId: name, listen, registry, interceptors });
server.add(PaymentService, paymentHandlers(payments, journal));
await runInstance({ name, server, journal });
