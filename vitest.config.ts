import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["{packages,examples}/*/{src,test}/**/*.test.ts", "{bench,conformance,scripts,sim,test}/**/*.test.ts"],
    // Suites with real servers take minutes: npm run registries.
    exclude: [
      "**/node_modules/**",
      "**/dist/**",
      ...(process.env.BOWLINE_REGISTRIES === undefined ? ["**/*.suite.test.ts"] : []),
    ],
    // Processes, not threads: signals, a server's end and its exit code are part of what is tested.
    pool: "forks",
    // Nothing here keeps state in a module, so test files can share a process: four times as quick on two cores.
    isolate: false,
    // Vitest's own choice leaves a core to itself, which on two cores is one file at a time. Many of them wait.
    maxWorkers: "100%",
    testTimeout: 40_000,
    hookTimeout: 40_000,
  },
});

export default config;
