// SPDX-License-Identifier: Apache-2.0
// Histograms over time as rectangles: native ones, or classic ones by their "le" series. Several histograms are added up.
import { type RangeData, type RangeSeries, stepTimes } from '../../lib/columns';
import { parseSample } from '../../lib/number';

export interface Cell {
  column: number; // index of the step
  low: number;
  high: number;
  count: number;
}

export interface Heat {
  times: number[]; // seconds
  cells: Cell[];
  low: number; // of all cells; finite
  high: number;
  most: number; // the largest count
  isLog: boolean; // all bounds above zero
}

// Infinite bounds end as far beyond the last finite one as a bucket is wide, so that they can be drawn.
export function heat({ grid: { startS, stepS, points }, series }: RangeData): Heat {
  const cells = new Map<string, Cell>();
  const add = (column: number, low: number, high: number, value: number) => {
    if (column < 0 || column >= points || !(value > 0)) return;
    const key = `${column} ${low} ${high}`;
    const cell = cells.get(key);
    if (cell) cell.count += value;
    else cells.set(key, { column, low, high, count: value });
  };
  for (const item of series)
    for (const [time, histogram] of item.histograms ?? [])
      for (const [, low, high, value] of histogram.buckets ?? [])
        add(Math.round((time - startS) / stepS), parseSample(low), parseSample(high), parseSample(value));
  for (const family of classicFamilies(series)) addClassic(family, add);
  return finish(stepTimes({ startS, stepS, points }), [...cells.values()]);
}

// Series of one histogram differ in "le" alone.
function classicFamilies(series: readonly RangeSeries[]): { le: number; item: RangeSeries }[][] {
  const families = new Map<string, { le: number; item: RangeSeries }[]>();
  for (const item of series) {
    const { le, ...rest } = item.metric;
    if (le === undefined || item.floats === 0) continue;
    const key = JSON.stringify(Object.entries(rest).toSorted());
    const family = families.get(key);
    const row = { le: parseSample(le), item };
    if (family) family.push(row);
    else families.set(key, [row]);
  }
  return [...families.values()].map((family) => family.toSorted((a, b) => a.le - b.le));
}

// The values of "le" series include those of all smaller buckets.
function addClassic(family: readonly { le: number; item: RangeSeries }[], add: (column: number, low: number, high: number, count: number) => void): void {
  const before = new Map<number, number>();
  const first = family[0]?.le ?? 0;
  let low = first > 0 ? 0 : -Infinity;
  for (const { le, item } of family) {
    for (const [column, value] of item.values.entries()) {
      if (!Number.isFinite(value)) continue;
      const count = value - (before.get(column) ?? 0);
      // Sums of rates differ in their last digits where nothing fell between two bounds.
      if (count > value * 1e-9) add(column, low, le, count);
      before.set(column, value);
    }
    low = le;
  }
}

function finish(times: number[], cells: Cell[]): Heat {
  const bounds = [...new Set(cells.flatMap((cell) => [cell.low, cell.high]))].filter(Number.isFinite).toSorted((a, b) => a - b);
  const positive = bounds.filter((bound) => bound > 0);
  const isLog = positive.length > 1 && !bounds.some((bound) => bound < 0);
  const drawn = isLog ? positive : bounds;
  const [low = 0, second = low + 1] = drawn;
  const high = drawn.at(-1) ?? 1;
  const last = drawn.at(-2) ?? low;
  const below = isLog ? low / (second / low) : low - (second - low);
  const above = isLog ? high * (high / last) : high + (high - last);
  let [min, max] = [low, high];
  for (const cell of cells) {
    if (!Number.isFinite(cell.low) || (isLog && cell.low <= 0)) cell.low = min = below;
    if (!Number.isFinite(cell.high)) cell.high = max = above;
  }
  for (const cell of cells) if (cell.low === below) min = below;
  return { times, cells, low: min, high: max > min ? max : min + 1, most: cells.reduce((most, cell) => Math.max(most, cell.count), 0), isLog };
}
