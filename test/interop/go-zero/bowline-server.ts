// peer.v1.Echo in an etcd that go-zero's services share: node bowline-server.ts ETCD KEY ID LISTEN [APP:TOKEN].
import { createServer } from "bowline";
import { appToken } from "bowline/auth";
import { etcd } from "bowline/registry/etcd";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { printLine } from "../../peers/peer-lines.ts";

const [host, key, id, listen, auth] = process.argv.slice(2);
const [app, token] = (auth ?? "").split(":");
const server = createServer({
  name: key,
  listen,
  registry: etcd(host),
  // go-zero's clients know a second after the entry is gone; the default is longer.
  drainAcceptMs: 1000,
  ...(auth === undefined ? {} : { authenticate: { by: appToken({ tokens: { [app]: token } }) } }),
});
server.add(Echo, echoHandlers(id));
await server.start();
printLine({ ready: true, addr: server.address, id, pid: process.pid });
