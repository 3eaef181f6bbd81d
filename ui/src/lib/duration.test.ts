// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { formatDuration, humanDuration, nextRange, parseDuration } from './duration';

describe('parseDuration', () => {
  test.each([
    ['1h30m', 5_400_000],
    ['1y2w3d4h5m6s7ms', 365 * 86_400_000 + 14 * 86_400_000 + 3 * 86_400_000 + 14_706_007],
    ['0', 0],
    [' 15s ', 15_000],
    ['90m', 5_400_000],
    ['30m1h', null],
    ['1h1h', null],
    ['1.5h', null],
    ['15', null],
    ['', null],
    ['-1h', null],
    ['99999999999999999999y', null],
  ])('%j is %j', (text, want) => expect(parseDuration(text)).toBe(want));
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [3_600_000, '1h'],
    [5_400_000, '1h30m'],
    [90_061_000, '1d1h1m1s'],
    [7 * 86_400_000, '1w'],
    [8 * 86_400_000, '8d'],
    [365 * 86_400_000, '1y'],
    [1500, '1s500ms'],
  ])('%j is %j', (ms, want) => {
    expect(formatDuration(ms)).toBe(want);
    expect(parseDuration(want)).toBe(ms);
  });
});

describe('humanDuration', () => {
  test.each([
    [0, '0s'],
    [0.0042, '4.2µs'],
    [12.34, '12.3ms'],
    [999, '999ms'],
    [1234, '1.23s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [90_061_000, '1d 1h'],
    [Number.NaN, 'n/a'],
  ])('%j is %j', (ms, want) => expect(humanDuration(ms)).toBe(want));
});

test('nextRange steps through the table and stops at its ends', () => {
  expect(nextRange(3_600_000, 1)).toBe(7_200_000);
  expect(nextRange(3_600_000, -1)).toBe(1_800_000);
  expect(nextRange(4_000_000, -1)).toBe(3_600_000);
  expect(nextRange(1000, -1)).toBe(1000);
  expect(nextRange(1e15, 1)).toBe(1e15);
});
