import { createRequire } from "node:module";
import type * as Protobuf from "@bufbuild/protobuf";
import type * as WellKnownTypes from "@bufbuild/protobuf/wkt";
import type * as Protoplugin from "@bufbuild/protoplugin";
import type { Plugin } from "@bufbuild/protoplugin";

/** The libraries that read descriptors and print code. */
export interface PluginRuntime {
  readonly protobuf: typeof Protobuf;
  readonly wellKnownTypes: typeof WellKnownTypes;
  readonly protoplugin: typeof Protoplugin;
  /** protoc-gen-es as a function. */
  readonly messagePlugin: Plugin;
}

/**
 * Loads the libraries, which takes some 100 ms because protoplugin loads a whole TypeScript: to be called while buf is busy.
 *
 * By require: protoc-gen-es is CommonJS, and what it loads should not be loaded a second time as modules.
 */
export function loadPluginRuntime(): PluginRuntime {
  const require = createRequire(import.meta.url);
  return {
    protobuf: require("@bufbuild/protobuf"),
    wellKnownTypes: require("@bufbuild/protobuf/wkt"),
    protoplugin: require("@bufbuild/protoplugin"),
    messagePlugin: require("@bufbuild/protoc-gen-es/dist/cjs/src/protoc-gen-es-plugin.js").protocGenEs,
  };
}
