export { consul } from "./consul.ts";
export type { ConsulCheck, ConsulConsistency, ConsulOptions } from "./options.ts";
