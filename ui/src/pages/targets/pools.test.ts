// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Health, Target } from '../../lib/api';
import { countByHealth, groupByPool, groupDiscovered, keepTargets } from './pools';

const target = (scrapePool: string, url: string, health: Health): Target => ({
  scrapePool, health, scrapeUrl: url, globalUrl: url, lastError: '', lastScrape: '', lastScrapeDuration: 0,
  labels: { job: scrapePool, instance: url }, discoveredLabels: { __address__: url },
});
const targets = [target('b', 'http://x:1/', 'up'), target('a', 'http://y:2/', 'down'), target('b', 'http://z:3/', 'unknown')];

test('pools are sorted, their targets are not', () => {
  expect(groupByPool(targets).map((pool) => [pool.name, pool.targets.map((t) => t.scrapeUrl)])).toEqual([
    ['a', ['http://y:2/']],
    ['b', ['http://x:1/', 'http://z:3/']],
  ]);
});

test('targets are counted and kept by health and words', () => {
  expect(countByHealth(targets)).toEqual({ up: 1, down: 1, unknown: 1 });
  expect(keepTargets(targets, ['down'], '').map((t) => t.scrapePool)).toEqual(['a']);
  expect(keepTargets(targets, [], 'JOB="b" z:3').map((t) => t.scrapeUrl)).toEqual(['http://z:3/']);
  expect(keepTargets(targets, ['up'], 'y:2')).toEqual([]);
});

test('dropped targets count, even those that the server did not keep', () => {
  const dropped = { discoveredLabels: { job: 'a' }, scrapePool: 'a' };
  const pools = groupDiscovered({ activeTargets: targets, droppedTargets: [dropped], droppedTargetCounts: { a: 7, c: 2, b: 0 } });
  expect(pools.map(({ name, active, total, items }) => [name, active, total, items.length])).toEqual([
    ['a', 1, 8, 2],
    ['b', 2, 2, 2],
    ['c', 0, 2, 0],
  ]);
});

test('a server that does not name the pool of a dropped target means its job', () => {
  const pools = groupDiscovered({ activeTargets: [], droppedTargets: [{ discoveredLabels: { job: 'd' } }] });
  expect(pools).toEqual([{ name: 'd', active: 0, total: 1, items: [{ discoveredLabels: { job: 'd' }, labels: null }] }]);
});
