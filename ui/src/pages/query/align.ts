// SPDX-License-Identifier: Apache-2.0
// From the API's matrix to the columns that uPlot draws: one time axis, one column per series, null where a
// series has no sample.
import type { MatrixItem } from '../../lib/api';
import { parseSample } from '../../lib/number';

export type Column = (number | null)[];

export interface Aligned {
  times: number[]; // seconds
  columns: Column[];
  histogramOnly: number; // series left out because they have native histograms alone
  items: MatrixItem[]; // one for each column
}

// `startS` and `stepS` are those of the query; each sample lies on the grid that they span.
export function align(result: readonly MatrixItem[], startS: number, endS: number, stepS: number): Aligned {
  const count = Math.max(0, Math.floor((endS - startS) / stepS + 1e-6)) + 1;
  const times = Array.from({ length: count }, (_, i) => Math.round((startS + i * stepS) * 1000) / 1000);
  const items = result.filter((item) => item.values !== undefined && item.values.length > 0);
  const columns = items.map((item) => {
    const column: Column = new Array<number | null>(count).fill(null);
    for (const [time, text] of item.values ?? []) {
      const index = Math.round((time - startS) / stepS);
      const value = parseSample(text);
      // Infinity and NaN have no place on an axis: they are gaps.
      if (index >= 0 && index < count && Number.isFinite(value)) column[index] = value;
    }
    return column;
  });
  return { times, columns, histogramOnly: result.length - items.length, items };
}

// Each shown column on top of those before it. A missing sample adds nothing, and a column that is not
// shown stays as it is: nobody sees it.
export function stack(columns: readonly Column[], shown: readonly boolean[]): Column[] {
  const height: number[] = new Array<number>(columns[0]?.length ?? 0).fill(0);
  return columns.map((column, i) =>
    shown[i] === false ? column : column.map((value, row) => (height[row] = (height[row] ?? 0) + (value ?? 0))),
  );
}

// Rows of samples with a gap on both sides: no line reaches them, so they need a dot.
export function lonelyRows(column: ArrayLike<number | null | undefined>): number[] {
  const rows: number[] = [];
  for (let row = 0; row < column.length; row++)
    if (column[row] != null && column[row - 1] == null && column[row + 1] == null) rows.push(row);
  return rows;
}
