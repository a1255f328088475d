export { nacos } from "./nacos.ts";
export type { NacosOptions } from "./options.ts";
