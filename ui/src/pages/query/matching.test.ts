// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Matching } from '../../lib/promql-ast';
import { matchGroups } from './matching';

const series = (...all: Record<string, string>[]) => all.map((metric) => ({ metric }));
const matching = (more: Partial<Matching>): Matching => ({ card: 'one-to-one', labels: [], on: false, include: [], ...more });

test('without modifiers all labels but the name count', () => {
  const groups = matchGroups('/', matching({}), series({ __name__: 'a', x: '1' }, { __name__: 'a', x: '2' }), series({ __name__: 'b', x: '1' }));
  expect(groups.map((g) => [g.labels, g.pairs])).toEqual([[{ x: '1' }, 1], [{ x: '2' }, 0]]);
});

test('on() takes the listed labels alone, ignoring() all others', () => {
  const left = series({ x: '1', y: 'l' });
  const right = series({ x: '1', y: 'r' });
  expect(matchGroups('+', matching({ on: true, labels: ['x'] }), left, right)[0]?.pairs).toBe(1);
  expect(matchGroups('+', matching({ labels: ['y'] }), left, right)[0]?.pairs).toBe(1);
  expect(matchGroups('+', matching({}), left, right).map((g) => g.pairs)).toEqual([0, 0]);
});

test('two series where one is allowed are told', () => {
  const two = series({ x: '1', y: 'a' }, { x: '1', y: 'b' });
  const one = series({ x: '1' });
  const by = { on: true, labels: ['x'] };
  expect(matchGroups('+', matching(by), two, one)[0]?.fault).toContain('group_left');
  expect(matchGroups('+', matching(by), one, two)[0]?.fault).toContain('group_right');
  expect(matchGroups('+', matching({ ...by, card: 'many-to-one' }), two, one)[0]).toMatchObject({ fault: null, pairs: 2 });
  expect(matchGroups('+', matching({ ...by, card: 'many-to-one' }), one, two)[0]?.fault).toContain('right side');
});

test('set operators ask only whether the other side is there', () => {
  const left = series({ x: '1' }, { x: '2' });
  const right = series({ x: '2' }, { x: '3' });
  const many = matching({ card: 'many-to-many' });
  expect(matchGroups('and', many, left, right).map((g) => g.pairs)).toEqual([0, 1, 0]);
  expect(matchGroups('unless', many, left, right).map((g) => g.pairs)).toEqual([1, 0, 0]);
  expect(matchGroups('or', many, left, right).map((g) => g.pairs)).toEqual([1, 1, 1]);
});

test('a fill value stands for a side that is missing', () => {
  const groups = matchGroups('+', matching({ fillValues: { lhs: null, rhs: 0 } }), series({ x: '1' }), series({ x: '2' }));
  expect(groups.map((g) => g.pairs)).toEqual([1, 0]);
});
