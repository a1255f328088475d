export { merged } from "./merged.ts";
export type {
  Address,
  Instance,
  Registration,
  Registry,
  Snapshot,
  Watcher,
  WatchHandler,
} from "./registry.ts";
export type { RegistryConfig, RegistryContext } from "./registry-config.ts";
export { type ListServicesOptions, listServices } from "./target/list-services.ts";
export { type TargetWatch, type WatchTargetOptions, watchTarget } from "./target/watch-target.ts";
