export { etcd } from "./etcd.ts";
export type { EtcdStyle } from "./format.ts";
export type { EtcdOptions, EtcdTlsSettings } from "./options.ts";
