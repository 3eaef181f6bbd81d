// SPDX-License-Identifier: Apache-2.0
// Histograms over time as rectangles: native ones, or classic ones by their "le" series. Several histograms are added up.
import type { MatrixItem } from '../../lib/api';
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
export function heat(result: readonly MatrixItem[], startS: number, endS: number, stepS: number): Heat {
  const count = Math.max(0, Math.floor((endS - startS) / stepS + 1e-6)) + 1;
  const times = Array.from({ length: count }, (_, i) => Math.round((startS + i * stepS) * 1000) / 1000);
  const grid = new Map<string, Cell>();
  const add = (timeS: number, low: number, high: number, value: number) => {
    const column = Math.round((timeS - startS) / stepS);
    if (column < 0 || column >= count || !(value > 0)) return;
    const key = `${column} ${low} ${high}`;
    const cell = grid.get(key);
    if (cell) cell.count += value;
    else grid.set(key, { column, low, high, count: value });
  };
  for (const item of result)
    for (const [time, histogram] of item.histograms ?? [])
      for (const [, low, high, value] of histogram.buckets ?? []) add(time, parseSample(low), parseSample(high), parseSample(value));
  for (const family of classicFamilies(result)) addClassic(family, add);
  return finish(times, [...grid.values()]);
}

// Series of one histogram differ in "le" alone.
function classicFamilies(result: readonly MatrixItem[]): { le: number; item: MatrixItem }[][] {
  const families = new Map<string, { le: number; item: MatrixItem }[]>();
  for (const item of result) {
    const { le, ...rest } = item.metric;
    if (le === undefined || !item.values) continue;
    const key = JSON.stringify(Object.entries(rest).toSorted());
    const family = families.get(key);
    const row = { le: parseSample(le), item };
    if (family) family.push(row);
    else families.set(key, [row]);
  }
  return [...families.values()].map((family) => family.toSorted((a, b) => a.le - b.le));
}

// The values of "le" series include those of all smaller buckets.
function addClassic(family: readonly { le: number; item: MatrixItem }[], add: (time: number, low: number, high: number, count: number) => void): void {
  const before = new Map<number, number>();
  const first = family[0]?.le ?? 0;
  let low = first > 0 ? 0 : -Infinity;
  for (const { le, item } of family) {
    for (const [time, text] of item.values ?? []) {
      const value = parseSample(text);
      if (!Number.isFinite(value)) continue;
      const count = value - (before.get(time) ?? 0);
      // Sums of rates differ in their last digits where nothing fell between two bounds.
      if (count > value * 1e-9) add(time, low, le, count);
      before.set(time, value);
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
