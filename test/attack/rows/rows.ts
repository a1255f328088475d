import { provocationRows } from "../provocation.ts";
import type { Row } from "../row.ts";
import { bodyRows } from "./body-rows.ts";
import { costRows } from "./cost-rows.ts";
import { floodRows } from "./flood-rows.ts";
import { frameRows } from "./frame-rows.ts";
import { furtherTables } from "./further-rows.ts";
import { headerRows } from "./header-rows.ts";
import { hoardRows } from "./hoard-rows.ts";
import { idRows } from "./id-rows.ts";
import { injectionRows } from "./injection-rows.ts";
import { resourceRows } from "./resource-rows.ts";

const tables = [...headerRows, ...frameRows, ...bodyRows, ...furtherTables];

/** All tests of the matrix, by number, the server's before the client's. */
export const rows: readonly Row[] = [
  ...tables.flatMap((table): Row[] => provocationRows(table)),
  ...floodRows,
  ...hoardRows,
  ...idRows,
  ...injectionRows,
  ...costRows,
  ...resourceRows,
].sort((a, b) => a.row - b.row || b.role.localeCompare(a.role));
