import { describe, expect, it } from "vitest";
import { brokenLinks } from "./links.ts";

const files: Record<string, string> = {
  "docs/guide/client.md": "# Client\n\n## Waiting for a server\n\n```sh\n# no heading\n```\n",
  "examples/shop": "",
};

function broken(markdown: string): [number, string][] {
  return brokenLinks("docs/guide/page.md", markdown, (path) => files[path]).map(({ line, problem }) => [line, problem]);
}

describe("links of a page", () => {
  it("may lead to files, folders, headings, this page's own too, and out of the repository", () => {
    const page = `# Of \`this\`, page

[a](client.md), [b](client.md#waiting-for-a-server), [c](../../examples/shop), [d](#of-this-page), [e](https://grpc.io/docs#x)`;
    expect(broken(page)).toEqual([]);
  });

  it("are found with their line when file or heading are not there", () => {
    expect(broken("text\n[a](none.md) and [b](client.md#nothing)\n[c](client.md#no-heading) [d](#none)")).toEqual([
      [2, "there is no docs/guide/none.md"],
      [2, "docs/guide/client.md has no heading #nothing"],
      [3, "docs/guide/client.md has no heading #no-heading"],
      [3, "docs/guide/page.md has no heading #none"],
    ]);
  });

  it("are not sought in code", () => {
    expect(broken("`[a](none.md)`\n\n```md\n[a](none.md)\n```\n")).toEqual([]);
  });
});
