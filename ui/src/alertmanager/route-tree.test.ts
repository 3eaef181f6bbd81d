// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { labelsOf, nest } from './route-tree';

const step = (id: string, depth: number) => ({ id, depth, receiver: id, continue: false, matchers: [], asked: true, matched: true, taken: false, why: '' });

test('steps become the tree that they were read from', () => {
  const [root] = nest([step('r', 0), step('a', 1), step('a1', 2), step('a2', 2), step('b', 1)]);
  expect(root?.children.map((node) => [node.step.id, node.children.map((child) => child.step.id)])).toEqual([['a', ['a1', 'a2']], ['b', []]]);
  expect(nest([])).toEqual([]);
});

test('labels are matchers of equality', () => {
  expect(labelsOf('{alertname="Down", job="a b"}')).toEqual({ alertname: 'Down', job: 'a b' });
  expect(labelsOf('')).toEqual({});
  expect(labelsOf('job=~"a"')).toBe(null);
  expect(labelsOf('job="')).toBe(null);
});
