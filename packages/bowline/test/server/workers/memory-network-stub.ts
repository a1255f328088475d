import type { Network } from "../../../src/net/network.ts";

/** A network that is none of this machine's; nothing is reachable in it. */
export class MemoryNetworkStub implements Network {
  listen(): never {
    throw new Error("nothing can listen here");
  }

  dial(): never {
    throw new Error("nothing can be dialled here");
  }
}
