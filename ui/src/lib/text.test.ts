// SPDX-License-Identifier: Apache-2.0
// The small formatters: labels, numbers, histograms, places of errors.
import { describe, expect, test } from 'vitest';
import { findErrorPlace } from './error-position';
import { bucketText, histogramSummary } from './histogram';
import { matchesSearch, seriesText } from './labels';
import { formatBytes, formatTicks, parseSample, plural } from './number';

describe('seriesText', () => {
  test.each([
    [{ __name__: 'up' }, 'up'],
    [{ __name__: 'up', job: 'a' }, 'up{job="a"}'],
    [{ job: 'a', instance: 'b:1' }, '{job="a", instance="b:1"}'],
    [{}, '{}'],
    [{ __name__: 'my.metric', 'a.b': 'c' }, '{"my.metric", "a.b"="c"}'],
    [{ __name__: 'up', path: 'a"b\\c\nd' }, 'up{path="a\\"b\\\\c\\nd"}'],
  ])('%j is %s', (labels, want) => expect(seriesText(labels as Record<string, string>)).toBe(want));
});

test('each word of a search must match', () => {
  expect(matchesSearch('http://host:1/metrics {job="Node"}', 'node host')).toBe(true);
  expect(matchesSearch('http://host:1/metrics {job="Node"}', 'node other')).toBe(false);
  expect(matchesSearch('anything', '')).toBe(true);
});

describe('formatTicks', () => {
  test.each([
    [[0, 0.5, 1], 0.5, ['0', '0.5', '1.0']],
    [[0, 1, 2], 1, ['0', '1', '2']],
    [[0, 1000, 2000], 1000, ['0', '1000', '2000']],
    [[0, 500_000, 1_000_000], 500_000, ['0', '0.5M', '1.0M']],
    [[-20_000, 0, 20_000], 20_000, ['-20k', '0', '20k']],
    [[1e9, 1.001e9], 1e6, ['1.000G', '1.001G']],
    [[0, 1e-7], 1e-7, ['0', '1.0e-7']],
    [[0], 1, ['0']],
  ])('%j by %j', (values, step, want) => expect(formatTicks(values, step)).toEqual(want));
});

test('samples are read as Go writes them', () => {
  expect(parseSample('+Inf')).toBe(Infinity);
  expect(parseSample('-Inf')).toBe(-Infinity);
  expect(parseSample('NaN')).toBeNaN();
  expect(parseSample('1e+21')).toBe(1e21);
});

test('sizes and counts', () => {
  expect(formatBytes(1023)).toBe('1023 B');
  expect(formatBytes(1536)).toBe('1.5 KiB');
  expect(formatBytes(5 * 2 ** 30)).toBe('5.0 GiB');
  expect(plural(1, 'row')).toBe('1 row');
  expect(plural(12_000, 'series', 'series')).toBe('12,000 series');
});

test('a histogram names its buckets with the ends that belong to them', () => {
  expect(bucketText([0, '1', '2', '5'])).toBe('(1, 2]');
  expect(bucketText([1, '-2', '-1', '5'])).toBe('[-2, -1)');
  expect(bucketText([3, '-0.001', '0.001', '5'])).toBe('[-0.001, 0.001]');
  expect(histogramSummary({ count: '3', sum: '1.5', buckets: [[0, '1', '2', '3']] })).toBe('count 3, sum 1.5, 1 bucket');
  expect(histogramSummary({ count: '0', sum: '0' })).toBe('count 0, sum 0, 0 buckets');
});

describe('findErrorPlace', () => {
  test('finds line and column', () => {
    const message = 'invalid parameter "query": 2:5: parse error: unexpected end of input';
    expect(findErrorPlace(message, 'sum(\n  up{')).toEqual({
      line: '  up{', lineNumber: 2, column: 4, message: 'parse error: unexpected end of input',
    });
  });
  test('counts columns in bytes, as the server does', () => {
    expect(findErrorPlace('1:8: parse error: x', '"ä€" !')?.column).toBe(4);
  });
  test('a column behind the end stays at the end', () => {
    expect(findErrorPlace('1:99: parse error: x', 'up')?.column).toBe(2);
  });
  test.each(['execution: expanding series', '7:1: parse error: x', 'parse error: 1:2'])('%j has no place', (message) =>
    expect(findErrorPlace(message, 'up')).toBeNull(),
  );
});
