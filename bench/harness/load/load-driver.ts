import type { Child } from "../../../test/peers/child.ts";
import type { Load } from "./load.ts";
import type { Reading } from "./reading.ts";

/** Core of the server where processes can be bound to cores. */
export const SERVER_CORE = 0;
/** Core of the client. */
export const CLIENT_CORE = 1;

/** Puts load on one server. */
export interface LoadDriver {
  run(load: Load, seconds: number): Promise<Reading>;
  close(): Promise<void>;
}

/** Starts a driver for a server that listens on `address`. `core` is the client's, undefined for any. */
export type StartDriver = (server: Child, address: string, core: number | undefined) => Promise<LoadDriver>;
