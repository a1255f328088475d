import { networkContract } from "../../test/network-contract.ts";
import { socketNetwork } from "./network.ts";

networkContract("the network of sockets", () => ({
  network: socketNetwork,
  anyPort: "127.0.0.1:0",
  // Port 1 (tcpmux) is served nowhere, and only root could.
  nobody: "127.0.0.1:1",
}));
