// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { decodePanels, encodePanels, newPanel, type PanelState, stepMs, tooManyPoints } from './panel-state';

const T = Date.UTC(2026, 0, 31, 8, 5, 9);

test('no parameters give one empty panel', () => expect(decodePanels('')).toEqual([newPanel()]));

describe('links made for Prometheus', () => {
  test('new names', () => {
    const link =
      '?g0.expr=rate%28x%5B5m%5D%29&g0.show_tree=0&g0.tab=graph&g0.end_input=2026-01-31+08%3A05%3A09' +
      '&g0.moment_input=2026-01-31+08%3A05%3A09&g0.range_input=6h&g0.res_type=fixed&g0.res_step=1m' +
      '&g0.display_mode=stacked&g0.y_axis_min=0&g0.show_exemplars=0&g1.expr=up&g1.tab=table';
    expect(decodePanels(link)).toEqual([
      {
        expr: 'rate(x[5m])', tab: 'graph', endMs: T, rangeMs: 21_600_000,
        resolution: { type: 'fixed', stepMs: 60_000 }, display: 'stacked', yMin: 0, showTree: false, exemplars: false,
      },
      { ...newPanel(), expr: 'up' },
    ]);
  });
  test('old names', () => {
    const [panel] = decodePanels('?g0.expr=up&g0.tab=0&g0.stacked=1&g0.step_input=15&g0.range_input=2d');
    expect(panel).toEqual({
      ...newPanel(), expr: 'up', tab: 'graph', display: 'stacked', rangeMs: 2 * 86_400_000,
      resolution: { type: 'custom', stepMs: 15_000 },
    });
    expect(decodePanels('?g0.expr=up&g0.tab=1')[0]?.tab).toBe('table');
  });
  test('what makes no sense leaves the default', () => {
    const link = '?g0.tab=what&g0.range_input=0s&g0.end_input=now&g0.res_type=odd&g0.res_step=-1&g0.y_axis_min=x&g0.more=1';
    expect(decodePanels(link)).toEqual([newPanel()]);
  });
  test('a missing number is closed up and a huge one ignored', () => {
    expect(decodePanels('?g3.expr=b&g1.expr=a&g999.expr=c&g99999999999.expr=d').map((panel) => panel.expr)).toEqual(['a', 'b']);
  });
});

test('any state survives the address', () => {
  // A small generator with a fixed seed: the same states in each run.
  let seed = 42;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  for (let i = 0; i < 500; i++) {
    const panels: PanelState[] = Array.from({ length: 1 + random(4) }, () => ({
      expr: pick(['', 'up', 'a{b="c&d=e+f%20#"}', 'sum(\n x # comment\n)', '"ä"']),
      tab: pick(['table', 'graph', 'explain'] as const),
      showTree: pick([false, true]),
      exemplars: pick([false, true]),
      endMs: pick([null, T + random(1e9) * 1000, T + random(1000)]),
      rangeMs: 1 + random(1e9),
      resolution: pick([
        { type: 'auto', density: pick(['low', 'medium', 'high'] as const) },
        { type: pick(['fixed', 'custom'] as const), stepMs: 1 + random(1e8) },
      ] as const),
      display: pick(['lines', 'stacked', 'heatmap'] as const),
      yMin: pick([null, 0, -1.5]),
    }));
    expect(decodePanels(encodePanels(panels))).toEqual(panels);
  }
});

test('the automatic step is whole seconds by the density', () => {
  const auto = (rangeMs: number, density: 'low' | 'medium' | 'high') => stepMs({ rangeMs, resolution: { type: 'auto', density } });
  expect(auto(3_600_000, 'medium')).toBe(14_000);
  expect(auto(3_600_000, 'low')).toBe(36_000);
  expect(auto(3_600_000, 'high')).toBe(4000);
  expect(auto(60_000, 'high')).toBe(1000);
});

test('more points than the server gives are not asked for', () => {
  expect(tooManyPoints({ rangeMs: 11_000_000, resolution: { type: 'fixed', stepMs: 1000 } })).toBe(false);
  expect(tooManyPoints({ rangeMs: 11_001_000, resolution: { type: 'fixed', stepMs: 1000 } })).toBe(true);
});
