// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { MatrixItem } from '../../lib/api';
import { fromMatrix } from '../../lib/columns';
import { heat as heatOf } from './heatmap';

const heat = (result: MatrixItem[], startS: number, endS: number, stepS: number) => heatOf(fromMatrix(result, startS, endS, stepS));

const classic = (le: string, values: [number, string][], more = {}): MatrixItem => ({ metric: { le, ...more }, values });

test('buckets of a classic histogram are what lies between two bounds', () => {
  const drawn = heat([classic('2', [[0, '5'], [10, '9']]), classic('1', [[0, '3'], [10, '9']]), classic('+Inf', [[0, '6']])], 0, 10, 10);
  expect(drawn.times).toEqual([0, 10]);
  expect(drawn.cells).toEqual([
    { column: 0, low: 0.5, high: 1, count: 3 },
    { column: 1, low: 0.5, high: 1, count: 9 },
    { column: 0, low: 1, high: 2, count: 2 },
    { column: 0, low: 2, high: 4, count: 1 },
  ]);
  expect(drawn).toMatchObject({ isLog: true, low: 0.5, high: 4, most: 9 });
});

test('several classic histograms are added up, each on its own', () => {
  const of = (job: string) => [classic('1', [[0, '1']], { job }), classic('2', [[0, '4']], { job })];
  expect(heat([...of('a'), ...of('b')], 0, 0, 10).cells.map((cell) => cell.count)).toEqual([2, 6]);
});

test('a native histogram gives its buckets', () => {
  const item: MatrixItem = { metric: {}, histograms: [[10, { count: '3', sum: '1', buckets: [[0, '1', '2', '1'], [0, '2', '4', '2']] }]] };
  expect(heat([item], 0, 10, 10).cells).toEqual([
    { column: 1, low: 1, high: 2, count: 1 },
    { column: 1, low: 2, high: 4, count: 2 },
  ]);
});

test('bounds below zero make a linear axis', () => {
  const item: MatrixItem = { metric: {}, histograms: [[0, { count: '2', sum: '0', buckets: [[1, '-2', '-1', '1'], [0, '1', '2', '1']] }]] };
  expect(heat([item], 0, 0, 10)).toMatchObject({ isLog: false, low: -2, high: 2 });
});

test('nothing to draw is an empty drawing', () => {
  expect(heat([{ metric: {}, values: [[0, '1']] }], 0, 0, 10)).toMatchObject({ cells: [], most: 0 });
});
