import { HTTP2_LIMITS } from "bowline";
import { describe, expect, it } from "vitest";
import { limitsPage } from "./limits-page.ts";

describe("the page about limits", () => {
  const page = limitsPage();

  it("has a row for each limit of HTTP/2, with its default and range", () => {
    for (const name of Object.keys(HTTP2_LIMITS)) expect(page).toMatch(new RegExp(`^\\| \`${name}\` `, "m"));
    expect(page).toMatch(/`maxConcurrentStreams`\s+\| 1,024\s+\| 1 to 1,000,000\s+\| streams/);
  });

  it("has the options with a number, with the default of their doc comment and the range of their error", () => {
    expect(page).toMatch(/`maxReceiveBytes`\s+\| 4 MiB\s+\| 0 to 2,147,483,647\s+\| Largest request message/);
    expect(page).toMatch(/`keepalive\.timeMs`\s+\| no PINGs\s+\| from 10,000 on/);
    expect(page).toMatch(/`retry\.maxAttempts`\s+\| 2\s+\| 1 to 5/);
    expect(page).not.toContain("`interceptors`");
  });
});
