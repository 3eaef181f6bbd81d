// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { children, type Node, printNode, shortText, type VectorSelector, valueType } from './promql-ast';

const selector = (name: string, more: Partial<VectorSelector> = {}): VectorSelector => ({
  type: 'vectorSelector', name, matchers: [{ name: '__name__', type: '=', value: name }], offset: 0, timestamp: null, startOrEnd: null, ...more,
});
const rate: Node = {
  type: 'call', func: { name: 'rate', argTypes: ['matrix'], variadic: 0, returnType: 'vector' },
  args: [{ ...selector('x'), type: 'matrixSelector', range: 300_000, offset: 3_600_000 }],
};

describe('a part of the tree is written as a query', () => {
  const cases: [string, Node][] = [
    ['up', selector('up')],
    ['{"my.metric"}', selector('my.metric')],
    ['up{a!~"b|c"}', selector('up', { matchers: [{ name: '__name__', type: '=', value: 'up' }, { name: 'a', type: '!~', value: 'b|c' }] })],
    ['{__name__=~"a.*"}', selector('', { matchers: [{ name: '__name__', type: '=~', value: 'a.*' }] })],
    ['up @ end() offset -5m', selector('up', { startOrEnd: 'end', offset: -300_000 })],
    ['up anchored @ 12.500', selector('up', { anchored: true, timestamp: 12_500 })],
    ['rate(x[5m] offset 1h)', rate],
    ['sum by (job, "a.b") (rate(x[5m] offset 1h))', { type: 'aggregation', op: 'sum', expr: rate, param: null, grouping: ['job', 'a.b'], without: false }],
    ['topk(3, up)', { type: 'aggregation', op: 'topk', expr: selector('up'), param: { type: 'numberLiteral', val: '3' }, grouping: [], without: false }],
    ['count without () (up)', { type: 'aggregation', op: 'count', expr: selector('up'), param: null, grouping: [], without: true }],
    ['(-up)[1h:1m]', { type: 'subquery', expr: { type: 'parenExpr', expr: { type: 'unaryExpr', op: '-', expr: selector('up') } }, range: 3_600_000, step: 60_000, offset: 0, timestamp: null, startOrEnd: null }],
    ['up[1h:]', { type: 'subquery', expr: selector('up'), range: 3_600_000, step: 0, offset: 0, timestamp: null, startOrEnd: null }],
    ['a > bool on (x) group_left (y) b', { type: 'binaryExpr', op: '>', lhs: selector('a'), rhs: selector('b'), bool: true, matching: { card: 'many-to-one', labels: ['x'], on: true, include: ['y'] } }],
    ['a + fill_left (0) b', { type: 'binaryExpr', op: '+', lhs: selector('a'), rhs: selector('b'), bool: false, matching: { card: 'one-to-one', labels: [], on: false, include: [], fillValues: { lhs: 0, rhs: null } } }],
    ['x[5m + 1m]', { ...selector('x'), type: 'matrixSelector', range: 0, rangeExpr: { type: 'durationExpr', op: '+', wrapped: false, lhs: { type: 'numberLiteral', val: '300', duration: true }, rhs: { type: 'numberLiteral', val: '60', duration: true } } }],
    ['x offset (step() * 2)', selector('x', { offsetExpr: { type: 'durationExpr', op: '*', wrapped: true, lhs: { type: 'durationExpr', op: 'step', lhs: null, rhs: null, wrapped: false }, rhs: { type: 'numberLiteral', val: '2', duration: false } } })],
    ['"a\\"b"', { type: 'stringLiteral', val: 'a"b' }],
  ];
  test.each(cases)('%s', (text, node) => expect(printNode(node)).toBe(text));
});

test('a node alone leaves out what is below it', () => {
  expect(shortText(rate)).toBe('rate');
  expect(shortText({ type: 'parenExpr', expr: rate })).toBe('(…)');
  expect(children(rate)).toHaveLength(1);
});

test('the type of a result is known', () => {
  const one: Node = { type: 'numberLiteral', val: '1' };
  const add = (lhs: Node, rhs: Node): Node => ({ type: 'binaryExpr', op: '+', lhs, rhs, bool: false, matching: null });
  expect(valueType(add(one, one))).toBe('scalar');
  expect(valueType(add(one, selector('up')))).toBe('vector');
  expect(valueType(children(rate)[0] as Node)).toBe('matrix');
});
