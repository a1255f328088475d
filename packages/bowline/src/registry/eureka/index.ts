export { eureka } from "./eureka.ts";
export type { EurekaOptions } from "./options.ts";
