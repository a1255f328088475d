import { provocationRows } from "../provocation.ts";
import type { Row } from "../row.ts";
import { bodyRows } from "./body-rows.ts";
import { floodRows } from "./flood-rows.ts";
import { frameRows } from "./frame-rows.ts";
import { headerRows } from "./header-rows.ts";
import { resourceRows } from "./resource-rows.ts";

const tables = [...headerRows, ...frameRows, ...bodyRows];

/** All tests of the matrix, by number, the server's before the client's. */
export const rows: readonly Row[] = [
  ...tables.flatMap((table): Row[] => provocationRows(table)),
  ...floodRows,
  ...resourceRows,
].sort((a, b) => a.row - b.row || b.role.localeCompare(a.role));
