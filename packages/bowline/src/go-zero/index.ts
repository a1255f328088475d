export type { GoZeroClient } from "./client-section.ts";
export type { Environment } from "./environment.ts";
export {
  type FromGoZeroOptions,
  fromGoZero,
  type GoZeroConfig,
  type GoZeroServerOptions,
} from "./from-go-zero.ts";
