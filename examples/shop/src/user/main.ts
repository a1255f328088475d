// One instance of the user service: node src/user/main.ts --name user-2
import { createServer } from "bowline";
import { local } from "bowline/registry/local";
import { UserService } from "../gen/shop/user/v1/user_rpc.ts";
import { readFlags } from "../instance/flags.ts";
import { openJournal } from "../instance/journal.ts";
import { pretendWork } from "../instance/pretend-work.ts";
import { runInstance } from "../instance/run-instance.ts";
import { userHandlers } from "./service.ts";
import { Users } from "./users.ts";

const { name, namespace, listen, journalFolder, workMs } = readFlags("user");
const registry = local({ namespace });
const users = new Users();
const journal = openJournal(users, journalFolder);

const interceptors = [pretendWork(workMs)];
const server = createServer({ name: "shop.user", instanceId: name, listen, registry, interceptors });
server.add(UserService, userHandlers(users, journal));
await runInstance({ name, server, journal });
