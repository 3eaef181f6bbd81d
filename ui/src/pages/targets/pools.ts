// SPDX-License-Identifier: Apache-2.0
import type { Health, Target, TargetsData } from '../../lib/api';
import { type Labels, matchesSearch, seriesText } from '../../lib/labels';

export const HEALTHS: readonly Health[] = ['up', 'down', 'unknown'];

export interface Pool {
  name: string;
  targets: Target[];
}

// Sorted by name; within a pool the server's order stays.
export function groupByPool(targets: readonly Target[]): Pool[] {
  const pools = new Map<string, Target[]>();
  for (const target of targets) {
    const pool = pools.get(target.scrapePool);
    if (pool) pool.push(target);
    else pools.set(target.scrapePool, [target]);
  }
  return [...pools].map(([name, list]) => ({ name, targets: list })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function countByHealth(targets: readonly Target[]): Record<Health, number> {
  const counts: Record<Health, number> = { up: 0, down: 0, unknown: 0 };
  for (const target of targets) counts[target.health] += 1;
  return counts;
}

export function keepTargets(targets: readonly Target[], healths: readonly Health[], search: string): Target[] {
  return targets.filter(
    (target) =>
      (healths.length === 0 || healths.includes(target.health)) &&
      (search === '' || matchesSearch(`${target.scrapeUrl} ${seriesText(target.labels)}`, search)),
  );
}

export interface Discovered {
  discoveredLabels: Labels;
  labels: Labels | null; // null: dropped
}

export interface DiscoveredPool {
  name: string;
  active: number;
  total: number; // counts those too that the server did not keep
  items: Discovered[];
}

export function groupDiscovered(data: TargetsData): DiscoveredPool[] {
  const pools = new Map<string, DiscoveredPool>();
  const at = (name: string) => {
    let pool = pools.get(name);
    if (!pool) pools.set(name, (pool = { name, active: 0, total: 0, items: [] }));
    return pool;
  };
  for (const { scrapePool, discoveredLabels, labels } of data.activeTargets) {
    const pool = at(scrapePool);
    pool.active += 1;
    pool.total += 1;
    pool.items.push({ discoveredLabels, labels });
  }
  const kept = new Map<string, number>();
  for (const { discoveredLabels, scrapePool } of data.droppedTargets) {
    // Servers before 3.0 name the pool only as the job among the discovered labels.
    const name = scrapePool ?? discoveredLabels['job'] ?? '';
    kept.set(name, (kept.get(name) ?? 0) + 1);
    at(name).items.push({ discoveredLabels, labels: null });
  }
  for (const [name, count] of Object.entries(data.droppedTargetCounts ?? {}))
    if (count > 0) kept.set(name, Math.max(count, kept.get(name) ?? 0));
  for (const [name, count] of kept) at(name).total += count;
  return [...pools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
