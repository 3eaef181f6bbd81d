// SPDX-License-Identifier: Apache-2.0
// How the series of the two sides of an operator find each other, group by group, for showing it to a person.
import type { Labels } from '../../lib/labels';
import { isSetOperator, type Matching } from '../../lib/promql-ast';

export interface MatchGroup<T> {
  labels: Labels; // those that both sides are matched by
  lhs: T[];
  rhs: T[];
  fault: string | null; // why the query fails here
  pairs: number; // results before a comparison filters them
}

interface HasLabels {
  metric: Labels;
}

function matchLabels(labels: Labels, matching: Matching): Labels {
  const names = new Set(matching.labels);
  const kept = Object.entries(labels).filter(([name]) => (matching.on ? names.has(name) : name !== '__name__' && !names.has(name)));
  return Object.fromEntries(kept.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function matchGroups<T extends HasLabels>(op: string, matching: Matching, lhs: readonly T[], rhs: readonly T[]): MatchGroup<T>[] {
  const groups = new Map<string, MatchGroup<T>>();
  const put = (items: readonly T[], side: 'lhs' | 'rhs') => {
    for (const item of items) {
      const labels = matchLabels(item.metric, matching);
      const key = JSON.stringify(labels);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { labels, lhs: [], rhs: [], fault: null, pairs: 0 }));
      group[side].push(item);
    }
  };
  put(lhs, 'lhs');
  put(rhs, 'rhs');
  for (const group of groups.values()) judge(group, op, matching);
  return [...groups.values()];
}

function judge<T>(group: MatchGroup<T>, op: string, { card, fillValues }: Matching): void {
  const left = group.lhs.length;
  const right = group.rhs.length;
  if (isSetOperator(op)) {
    group.pairs = op === 'and' ? (right > 0 ? left : 0) : op === 'unless' ? (right > 0 ? 0 : left) : left > 0 ? left : right;
    return;
  }
  if (card === 'one-to-one' && left > 1 && right > 0) group.fault = 'several series on the left side: group_left is needed, or more labels to match by';
  if (card !== 'one-to-many' && right > 1 && left > 0) group.fault = 'several series on the right side' + (card === 'one-to-one' ? ': group_right is needed, or more labels to match by' : ', which must be the side with one');
  if (card === 'one-to-many' && left > 1 && right > 0) group.fault = 'several series on the left side, which must be the side with one';
  if (group.fault !== null) return;
  const filledLeft = left === 0 && fillValues?.lhs != null ? 1 : left;
  const filledRight = right === 0 && fillValues?.rhs != null ? 1 : right;
  group.pairs = filledLeft * filledRight;
}
