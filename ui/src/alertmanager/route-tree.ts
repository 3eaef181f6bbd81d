// SPDX-License-Identifier: Apache-2.0
import type { Labels } from '../lib/labels';
import { operatorOf, parseMatchers } from '../lib/matchers';
import type { RouteStep } from './am-narthex';

export interface RouteNode {
  step: RouteStep;
  children: RouteNode[];
}

// From a list in which each route stands before those below it.
export function nest(steps: readonly RouteStep[]): RouteNode[] {
  const roots: RouteNode[] = [];
  const path: RouteNode[] = []; // the last node of each depth
  for (const step of steps) {
    const node = { step, children: [] };
    (step.depth === 0 ? roots : (path[step.depth - 1]?.children ?? roots)).push(node);
    path.length = step.depth;
    path.push(node);
  }
  return roots;
}

// Labels as {name="value", ...}; null if the text says something else.
export function labelsOf(text: string): Labels | null {
  const matchers = parseMatchers(text);
  if (!matchers || matchers.some((matcher) => operatorOf(matcher) !== '=')) return null;
  return Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
}
