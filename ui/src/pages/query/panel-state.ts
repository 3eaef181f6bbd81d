// SPDX-License-Identifier: Apache-2.0
// The panels of the query page as the search part of its address, under the names that Prometheus' UI uses
// (g0.expr, g0.tab, ...), so that links made for it work here and the other way round.
import { formatDuration, parseDuration } from '../../lib/duration';
import { formatTime, parseTime } from '../../lib/time';

export type Resolution =
  | { type: 'auto'; density: Density }
  | { type: 'fixed' | 'custom'; stepMs: number };
export type Display = 'lines' | 'stacked' | 'heatmap';
export type Tab = 'table' | 'graph' | 'explain';
export type Density = 'low' | 'medium' | 'high';

export interface PanelState {
  expr: string;
  tab: Tab;
  showTree: boolean;
  endMs: number | null; // also the moment of the table; null: now
  rangeMs: number;
  resolution: Resolution;
  display: Display;
  yMin: number | null;
  exemplars: boolean;
}

export const PANELS_MAX = 50;
// As many points as the server gives for one series.
const POINTS_MAX = 11_000;
const DENSITY_POINTS: Record<Density, number> = { low: 100, medium: 250, high: 750 };

export const newPanel = (): PanelState => ({
  expr: '',
  tab: 'table',
  showTree: false,
  endMs: null,
  rangeMs: 3_600_000,
  resolution: { type: 'auto', density: 'medium' },
  display: 'lines',
  yMin: null,
  exemplars: false,
});

// The step to ask for, in whole milliseconds, at least one second when automatic.
export function stepMs(state: Pick<PanelState, 'rangeMs' | 'resolution'>): number {
  const { resolution, rangeMs } = state;
  if (resolution.type !== 'auto') return resolution.stepMs;
  return Math.max(Math.floor(rangeMs / 1000 / DENSITY_POINTS[resolution.density]), 1) * 1000;
}

export function tooManyPoints(state: Pick<PanelState, 'rangeMs' | 'resolution'>): boolean {
  return state.rangeMs / stepMs(state) > POINTS_MAX;
}

// About what a panel takes on the page. Until its answer is there it keeps that much, so that what is below does not jump.
export const panelHeightPx = ({ tab }: PanelState): number => (tab === 'graph' ? 620 : 220);

// The panels that the first view of a page shows.
export function firstPanels(panels: readonly PanelState[], viewPx: number): PanelState[] {
  let topPx = 0;
  return panels.filter((panel) => {
    const isSeen = topPx < viewPx;
    topPx += panelHeightPx(panel);
    return isSeen;
  });
}

// Always at least one panel. A value that cannot be read leaves the default.
export function decodePanels(search: string): PanelState[] {
  const panels: PanelState[] = [];
  const params = new URLSearchParams(search);
  for (const [key, value] of params) {
    const match = /^g(\d{1,3})\.(.+)$/.exec(key);
    if (!match) continue;
    const index = Number(match[1]);
    if (index >= PANELS_MAX) continue;
    const panel = (panels[index] ??= newPanel());
    decodeParam(panel, match[2] ?? '', value);
  }
  // An index may be missing in a link made by hand.
  const dense = panels.filter((panel) => panel !== undefined);
  return dense.length > 0 ? dense : [newPanel()];
}

function decodeParam(panel: PanelState, name: string, value: string): void {
  switch (name) {
    case 'expr':
      panel.expr = value;
      break;
    case 'tab':
      // 0 and 1 are what the old UI wrote.
      panel.tab = value === 'explain' ? value : value === 'graph' || value === '0' ? 'graph' : 'table';
      break;
    case 'show_tree':
      panel.showTree = value === '1';
      break;
    case 'show_exemplars':
      panel.exemplars = value === '1';
      break;
    case 'end_input':
    case 'moment_input':
      panel.endMs = parseTime(value, false) ?? panel.endMs;
      break;
    case 'range_input': {
      const ms = parseDuration(value);
      if (ms !== null && ms > 0) panel.rangeMs = ms;
      break;
    }
    case 'res_type':
      if (value === 'auto') panel.resolution = { type: 'auto', density: density(panel.resolution) };
      else if (value === 'fixed' || value === 'custom') panel.resolution = { type: value, stepMs: stepOf(panel) };
      break;
    case 'res_density':
      if (panel.resolution.type === 'auto' && (value === 'low' || value === 'medium' || value === 'high'))
        panel.resolution = { type: 'auto', density: value };
      break;
    case 'res_step':
    case 'step_input': {
      const ms = parseDuration(value) ?? secondsToMs(value);
      if (ms === null || ms <= 0) break;
      panel.resolution = { type: panel.resolution.type === 'fixed' ? 'fixed' : 'custom', stepMs: ms };
      break;
    }
    case 'display_mode':
      panel.display = value === 'stacked' || value === 'heatmap' ? value : 'lines';
      break;
    case 'stacked':
      if (value === '1') panel.display = 'stacked';
      break;
    case 'y_axis_min':
      panel.yMin = value === '' || !Number.isFinite(Number(value)) ? null : Number(value);
      break;
  }
}

function density(resolution: Resolution): Density {
  return resolution.type === 'auto' ? resolution.density : 'medium';
}

function stepOf(panel: PanelState): number {
  return panel.resolution.type === 'auto' ? stepMs(panel) : panel.resolution.stepMs;
}

// The old UI wrote the step as a bare number of seconds.
function secondsToMs(text: string): number | null {
  return /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : null;
}

// Starts with "?"; the order of the parameters is fixed.
export function encodePanels(panels: readonly PanelState[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, index) => {
    const put = (name: string, value: string) => params.append(`g${index}.${name}`, value);
    put('expr', panel.expr);
    put('show_tree', panel.showTree ? '1' : '0');
    put('tab', panel.tab);
    if (panel.endMs !== null) {
      put('end_input', formatTime(panel.endMs, false));
      put('moment_input', formatTime(panel.endMs, false));
    }
    put('range_input', formatDuration(panel.rangeMs));
    put('res_type', panel.resolution.type);
    if (panel.resolution.type === 'auto') put('res_density', panel.resolution.density);
    else put('res_step', formatDuration(panel.resolution.stepMs));
    put('display_mode', panel.display);
    if (panel.yMin !== null) put('y_axis_min', String(panel.yMin));
    put('show_exemplars', panel.exemplars ? '1' : '0');
  });
  return '?' + params.toString();
}
