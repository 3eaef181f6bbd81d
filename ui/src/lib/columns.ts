// SPDX-License-Identifier: Apache-2.0
// Range queries in columns: one array of numbers for each series over the steps of the range. Our own server sends them
// as such (docs/formats/columns.md); the JSON of any other becomes the same.
import type { Histogram, MatrixItem, QueryStats } from './api';
import type { Labels } from './labels';
import { parseSample } from './number';

export const COLUMNS_TYPE = 'application/vnd.narthex.columns';
const MAGIC = 'NTXCOL1\n';
// The NaN that stands where a series has no sample; its halves, the lower first.
const GAP_LOW = 2;
const GAP_HIGH = 0x7ff00000;

// The steps of a range query; each sample lies on one of them.
export interface Grid {
  startS: number;
  stepS: number;
  points: number;
}

export interface RangeSeries {
  metric: Labels;
  values: Float64Array; // one for each step
  present: (step: number) => boolean; // has the step a float?
  floats: number; // how many steps have one
  histograms?: [number, Histogram][];
}

export interface RangeData {
  grid: Grid;
  series: RangeSeries[];
  stats?: QueryStats | undefined;
}

export function stepTimes({ startS, stepS, points }: Grid): number[] {
  return Array.from({ length: points }, (_, i) => Math.round((startS + i * stepS) * 1000) / 1000);
}

interface Tail {
  stats?: QueryStats;
  warnings?: string[];
  infos?: string[];
}

// Throws if the answer is not whole.
export function decodeColumns(bytes: ArrayBuffer): RangeData & { warnings: string[]; infos: string[] } {
  const view = new DataView(bytes);
  const decoder = new TextDecoder();
  let at = 32;
  if (bytes.byteLength < at || decoder.decode(new Uint8Array(bytes, 0, 8)) !== MAGIC) throw cutOff();
  const text = <T>(): T => {
    if (at + 8 > bytes.byteLength) throw cutOff();
    const length = Number(view.getBigUint64(at, true));
    at += 8;
    if (at + length > bytes.byteLength) throw cutOff();
    const value = JSON.parse(decoder.decode(new Uint8Array(bytes, at, length))) as T;
    at += length;
    return value;
  };
  const points = view.getUint32(24, true);
  const grid = { startS: Number(view.getBigInt64(8, true)) / 1000, stepS: Number(view.getBigInt64(16, true)) / 1000, points };
  const series = Array.from({ length: view.getUint32(28, true) }, () => {
    const item = text<{ metric: Labels; histograms?: [number, Histogram][] }>();
    if (at + points * 8 > bytes.byteLength) throw cutOff();
    const values = new Float64Array(bytes, at, points);
    const halves = new Uint32Array(bytes, at, points * 2);
    at += points * 8;
    return columnOf(item, values, (step) => halves[2 * step] !== GAP_LOW || halves[2 * step + 1] !== GAP_HIGH);
  });
  const tail = text<Tail>();
  return { grid, series, stats: tail.stats, warnings: tail.warnings ?? [], infos: tail.infos ?? [] };
}

function cutOff(): Error {
  return new Error('The answer ends before it is complete.');
}

function columnOf(item: { metric: Labels; histograms?: [number, Histogram][] }, values: Float64Array, present: (step: number) => boolean): RangeSeries {
  let floats = 0;
  for (let step = 0; step < values.length; step++) if (present(step)) floats++;
  return { ...item, values, present, floats };
}

// Samples that lie on no step of the range are left out.
export function fromMatrix(result: readonly MatrixItem[], startS: number, endS: number, stepS: number): RangeData {
  const points = Math.max(0, Math.floor((endS - startS) / stepS + 1e-6)) + 1;
  const series = result.map(({ metric, histograms, values: samples }) => {
    const values = new Float64Array(points).fill(NaN);
    const has = new Uint8Array(points);
    for (const [time, text] of samples ?? []) {
      const step = Math.round((time - startS) / stepS);
      if (step < 0 || step >= points) continue;
      values[step] = parseSample(text);
      has[step] = 1;
    }
    return columnOf(histograms ? { metric, histograms } : { metric }, values, (step) => has[step] === 1);
  });
  return { grid: { startS, stepS, points }, series };
}
