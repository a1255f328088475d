// One instance of the user service: node src/user/main.ts --name user-2
import { createServer } from "bowline";
import { UserService } from "../gen/shop/user/v1/user_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { openJournal } from "../instance/journal.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { openRegistry } from "../instance/registry.ts";
import { runInstance } from "../instance/run-instance.ts";
import { userHandlers } from "./service.ts";
import { Users } from "./users.ts";

const flags = readFlags("user");
const { name, listen, journalFolder, workMs } = flags;
const registry = await openRegistry(flags.registry, flags.namespace);
const users = new Users();
const journal = openJournal(users, journalFolder);

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.user", instanceId: name, listen, registry, interceptors });
server.add(UserService, userHandlers(users, journal));
await runInstance({ name, server, journal });
