// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { fromMatrix } from '../../lib/columns';
import { align, lonelyRows, stack } from './align';

test('samples land on their row and gaps stay null', () => {
  const result = [
    { metric: { a: '1' }, values: [[100, '1'], [120, '3']] as [number, string][] },
    { metric: { a: '2' }, values: [[110.0004, '2.5']] as [number, string][] },
  ];
  const aligned = align(fromMatrix(result, 100, 125, 10));
  expect(aligned.times).toEqual([100, 110, 120]);
  expect(aligned.columns).toEqual([[1, null, 3], [null, 2.5, null]]);
  expect(aligned.items.map((item) => item.metric)).toEqual([{ a: '1' }, { a: '2' }]);
});

test('fractions of a second neither drop nor double the last row', () => {
  const values = [0, 1, 2, 3].map((i) => [1000.1 + i * 0.1, String(i)] as [number, string]);
  const aligned = align(fromMatrix([{ metric: {}, values }], 1000.1, 1000.4, 0.1));
  expect(aligned.columns.map((column) => [...column])).toEqual([[0, 1, 2, 3]]);
  expect(aligned.times).toEqual([1000.1, 1000.2, 1000.3, 1000.4]);
});

test('infinities, NaN and samples outside the range are gaps', () => {
  const values = [[0, '+Inf'], [1, 'NaN'], [2, '-Inf'], [3, '7'], [99, '8'], [-5, '9']] as [number, string][];
  expect(align(fromMatrix([{ metric: {}, values }], 0, 3, 1)).columns).toEqual([[null, null, null, 7]]);
});

test('series of histograms alone are counted, not drawn', () => {
  const result = [{ metric: {}, histograms: [[0, { count: '1', sum: '1' }]] as [number, { count: string; sum: string }][] }];
  const aligned = align(fromMatrix(result, 0, 3, 1));
  expect([aligned.columns.length, aligned.items.length, aligned.histogramOnly]).toEqual([0, 0, 1]);
});

test('an empty result has times but no columns', () => {
  expect(align(fromMatrix([], 0, 2, 1))).toEqual({ times: [0, 1, 2], columns: [], items: [], histogramOnly: 0 });
});

test('stacking adds up what is shown', () => {
  const columns = [[1, 2, null], [10, null, 30], [100, 200, 300]];
  expect(stack(columns, [true, true, true])).toEqual([[1, 2, 0], [11, 2, 30], [111, 202, 330]]);
  expect(stack(columns, [true, false, true])).toEqual([[1, 2, 0], [10, null, 30], [101, 202, 300]]);
  expect(stack([], [])).toEqual([]);
  expect(stack([[null, 1], [null, null]], [true, true])).toEqual([[null, 1], [null, 1]]);
  expect(stack([[1, 1], [null, 2]], [false, true])).toEqual([[1, 1], [null, 2]]);
});

test('only samples without a neighbour need a dot', () => {
  expect(lonelyRows([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(lonelyRows([null, 0, null])).toEqual([1]);
  expect(lonelyRows([])).toEqual([]);
});
