// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { matcherOf, matchersOf, matchersText, parseMatchers } from './matchers';

test('a list is read with or without braces and quotes', () => {
  const want = [matcherOf('a', '=', 'b'), matcherOf('c', '=~', 'd.*'), matcherOf('e', '!=', ''), matcherOf('f', '!~', 'g,h')];
  expect(parseMatchers('{a="b", c=~"d.*",e!="", f!~"g,h"}')).toEqual(want);
  expect(parseMatchers('a=b,c=~d.*,e!=,f!~"g,h"')).toEqual(want);
  expect(parseMatchers('')).toEqual([]);
  expect(parseMatchers('{}')).toEqual([]);
});

test('odd names and values survive being written and read', () => {
  const odd = [matcherOf('my label', '=', 'a "b" \\ c\nd'), matcherOf('ü', '!~', '{x}')];
  expect(parseMatchers(matchersText(odd))).toEqual(odd);
});

test('what is no matcher is refused', () => {
  for (const text of ['a', 'a=="b"', '{a="b"', 'a="b" c="d"', '="b"', 'a="b', ',']) expect(parseMatchers(text)).toBeNull();
});

test('the labels of an alert become equalities', () => {
  expect(matchersText(matchersOf({ alertname: 'Down', job: 'x' }))).toBe('{alertname="Down", job="x"}');
});
