// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { formatAgo, formatServerTime, formatTime, formatTimeTicks, parseServerTime, parseTime } from './time';

const T = Date.UTC(2026, 0, 31, 8, 5, 9);

describe('parseTime', () => {
  test.each([
    ['2026-01-31 08:05:09', T],
    ['2026-01-31T08:05:09Z', T],
    ['2026-01-31 08:05:09.25', T + 250],
    ['2026-01-31 08:05', T - 9000],
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    [String(T / 1000), T],
    ['2026-02-31', null],
    ['2026-13-01', null],
    ['2026-01-31 25:00', null],
    ['yesterday', null],
    ['', null],
  ])('%j is %j', (text, want) => expect(parseTime(text, false)).toBe(want));
});

test.each([true, false])('what is formatted is parsed back (local: %j)', (local) => {
  for (const ms of [T, T + 7, 0, Date.UTC(2100, 11, 31, 23, 59, 59)])
    expect(parseTime(formatTime(ms, local), local)).toBe(ms);
});

test('the zero time of Go is never', () => {
  expect(parseServerTime('0001-01-01T00:00:00Z')).toBeNull();
  expect(formatAgo('0001-01-01T00:00:00Z', T)).toBe('never');
  expect(formatServerTime('not a time', false)).toBe('never');
  expect(formatServerTime('2026-01-31T08:05:09.123456789Z', false)).toBe('2026-01-31 08:05:09 UTC');
});

test('a scrape in the future, by a clock that is ahead, was just now', () => {
  expect(formatAgo(new Date(T + 5000).toISOString(), T)).toBe('0s ago');
});

test('an axis names the date where the day changes and the seconds where they matter', () => {
  const midnight = Date.UTC(2026, 1, 1) / 1000;
  expect(formatTimeTicks([midnight - 3600, midnight, midnight + 3600], 3600, false)).toEqual([
    '23:00\n2026-01-31', '00:00\n2026-02-01', '01:00',
  ]);
  expect(formatTimeTicks([midnight, midnight + 15], 15, false)).toEqual(['00:00:00\n2026-02-01', '00:00:15']);
  expect(formatTimeTicks([midnight], 86_400, false)).toEqual(['2026-02-01']);
});
