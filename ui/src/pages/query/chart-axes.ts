// SPDX-License-Identifier: Apache-2.0
// What the drawings with a time axis share.
import uPlot from 'uplot';
import { formatTicks } from '../../lib/number';
import { formatTimeTicks } from '../../lib/time';

export const HEIGHT_PX = 380;

// Times are seconds; a day begins in UTC or where the user is.
export function timeZone(local: boolean): uPlot.LocalDateFromUnix {
  return (seconds) => (local ? new Date(seconds * 1000) : uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'));
}

// Keeps the drawing as wide as its place; gives what ends that.
export function followWidth(plot: uPlot, host: HTMLElement): () => void {
  // The observer reports the width that the drawing has too: drawing that again would double the cost of each graph.
  const observer = new ResizeObserver(() => {
    const width = plotWidth(host);
    if (width !== plot.width) plot.setSize({ width, height: HEIGHT_PX });
  });
  observer.observe(host);
  return () => observer.disconnect();
}

export const plotWidth = (host: HTMLElement): number => Math.max(200, host.clientWidth);

export function xAxis(dark: boolean, local: boolean): uPlot.Axis {
  return {
    ...axisColors(dark),
    size: 42,
    space: 70,
    font: FONT,
    incrs: TIME_STEPS_S,
    values: (_, ticks, __, ___, step) => formatTimeTicks(ticks, step, local),
  };
}

const DAY_S = 86_400;
const TIME_STEPS_S = [
  0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
  DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S, 56 * DAY_S, 112 * DAY_S, 364 * DAY_S, 3640 * DAY_S,
];

export function yAxis(dark: boolean): uPlot.Axis {
  return {
    ...axisColors(dark),
    font: FONT,
    values: (_, ticks, __, ___, step) => formatTicks(ticks, step),
    size: (_, texts) => 18 + 7 * Math.max(3, ...(texts ?? []).map((text) => text.length)),
  };
}

export const FONT = '11px system-ui, sans-serif';

export function axisColors(dark: boolean) {
  const grid = dark ? 'rgba(255, 255, 255, 0.08)' : 'rgba(0, 0, 0, 0.08)';
  return {
    stroke: dark ? '#a5a9b0' : '#5a6069',
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
  };
}

export function zoomTo(u: uPlot, onZoom: (fromMs: number, toMs: number) => void): void {
  const { left, width } = u.select;
  if (width < 4) return;
  const fromMs = Math.floor(u.posToVal(left, 'x')) * 1000;
  const toMs = Math.ceil(u.posToVal(left + width, 'x')) * 1000;
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom(fromMs, Math.max(toMs, fromMs + 1000));
}
