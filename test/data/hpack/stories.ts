import { readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";

/** Name and value of a header field. */
export type HpackField = readonly [name: string, value: string];

/** One header block of a story. */
export interface HpackBlock {
  /** As the story's encoder wrote it; empty in `raw-data`. */
  readonly wire: Buffer;
  /** The size of the dynamic table that holds from this block on, if it changes, in octets. */
  readonly tableBytes: number | undefined;
  readonly fields: readonly HpackField[];
}

/** Header blocks of one connection, in order. */
export interface HpackStory {
  /** The encoder, or `raw-data`. */
  readonly folder: string;
  /** `story_00.json` */
  readonly name: string;
  readonly blocks: readonly HpackBlock[];
}

interface StoryFile {
  readonly cases: readonly {
    readonly wire?: string;
    readonly header_table_size?: number;
    readonly headers: readonly Readonly<Record<string, string>>[];
  }[];
}

/** All stories of http2jp/hpack-test-case, from their archive (tar: blocks of 512 octets, sizes in octal). */
export function readHpackStories(): HpackStory[] {
  const archive = zstdDecompressSync(readFileSync(new URL("./hpack-test-case.tar.zst", import.meta.url)));
  const stories: HpackStory[] = [];
  for (let at = 0; at < archive.length && archive[at] !== 0; ) {
    const path = archive.toString("latin1", at, archive.indexOf(0, at));
    const size = Number.parseInt(archive.toString("latin1", at + 124, at + 136), 8);
    const content = at + 512;
    if (path.endsWith(".json")) {
      const [folder, name] = path.split("/");
      const file = JSON.parse(archive.toString("utf8", content, content + size)) as StoryFile;
      stories.push({ folder, name, blocks: file.cases.map(blockOf) });
    }
    at = content + Math.ceil(size / 512) * 512;
  }
  return stories;
}

function blockOf({ wire, header_table_size, headers }: StoryFile["cases"][number]): HpackBlock {
  const tableBytes = typeof header_table_size === "number" ? header_table_size : undefined;
  return { wire: Buffer.from(wire ?? "", "hex"), tableBytes, fields: headers.flatMap((each) => Object.entries(each)) };
}
