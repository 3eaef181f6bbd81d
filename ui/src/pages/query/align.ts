// SPDX-License-Identifier: Apache-2.0
// From the columns of an answer to those that uPlot draws: one time axis, one column per series, null where a series
// has nothing to draw.
import { type RangeData, type RangeSeries, stepTimes } from '../../lib/columns';

// The answer's own numbers where a series has one at each step.
export type Column = (number | null)[] | Float64Array;

export interface Aligned {
  times: number[]; // seconds
  columns: Column[];
  histogramOnly: number; // series left out because they have native histograms alone
  items: RangeSeries[]; // one for each column
}

export function align({ grid, series }: RangeData): Aligned {
  const items = series.filter((item) => item.floats > 0);
  // Infinity and NaN have no place on an axis: they are gaps.
  const columns = items.map(({ values }): Column => (values.every(Number.isFinite) ? values : Array.from(values, (value) => (Number.isFinite(value) ? value : null))));
  return { times: stepTimes(grid), columns, histogramOnly: series.length - items.length, items };
}

// Each shown column on top of those before it. A missing sample adds nothing, unless all are missing: that is a gap.
// A column that is not shown stays as it is: nobody sees it.
export function stack(columns: readonly Column[], shown: readonly boolean[]): Column[] {
  const visible = columns.filter((_, i) => shown[i] !== false);
  const rows = columns[0]?.length ?? 0;
  const height: (number | null)[] = Array.from({ length: rows }, (_, row) => (visible.some((column) => column[row] != null) ? 0 : null));
  return columns.map((column, i) =>
    shown[i] === false
      ? column
      : Array.from(column, (value: number | null, row) => {
          const below = height[row] ?? null;
          return below === null ? null : (height[row] = below + (value ?? 0));
        }),
  );
}

// Rows of samples with a gap on both sides: no line reaches them, so they need a dot.
export function lonelyRows(column: ArrayLike<number | null | undefined>): number[] {
  const rows: number[] = [];
  for (let row = 0; row < column.length; row++)
    if (column[row] != null && column[row - 1] == null && column[row + 1] == null) rows.push(row);
  return rows;
}
