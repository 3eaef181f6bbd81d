// SPDX-License-Identifier: Apache-2.0
// The only place that knows uPlot.
import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { type Ref, useEffect, useImperativeHandle, useRef } from 'react';
import uPlot from 'uplot';
import { useSettings } from '../../lib/settings';
import { formatTicks } from '../../lib/number';
import { formatTimeTicks } from '../../lib/time';
import { type Aligned, type Column, lonelyRows, stack } from './align';
import { ChartTip } from './chart-tip';
import { seriesColor } from './colors';

const HEIGHT_PX = 380;
const FOCUS_PX = 30;

export interface ChartHandle {
  focus: (index: number | null) => void;
}

interface ChartProps {
  handle: Ref<ChartHandle>;
  aligned: Aligned;
  names: readonly string[]; // may be fewer than there are columns: only those are drawn
  shown: readonly boolean[];
  stacked: boolean;
  yMin: number | null;
  onZoom: (fromMs: number, toMs: number) => void;
}

export function Chart({ handle, aligned, names, shown, stacked, yMin, onZoom }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const dark = useComputedColorScheme('light') === 'dark';
  const { useLocalTime } = useSettings();

  // Drawing anew costs less than keeping track of what changed; it happens on a click, not on a move.
  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const raw = aligned.columns.slice(0, names.length);
    const columns = stacked ? stack(raw, shown) : raw;
    const layers = stacked ? columns.map((column, i) => (shown[i] ? column : null)) : null;
    const tip = new ChartTip(element, raw, names, useLocalTime, layers);
    const drawn = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: HEIGHT_PX,
        legend: { show: false },
        focus: { alpha: 0.25 },
        tzDate: (seconds) => (useLocalTime ? new Date(seconds * 1000) : uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC')),
        cursor: {
          // In a stack the tip tells the layer; dimming the others would hide it.
          ...(stacked ? {} : { focus: { prox: FOCUS_PX } }),
          drag: { x: true, y: false, setScale: false },
          // One dot, on the series that the tip names: a dot for each would be an element for each.
          points: stacked ? { show: false } : { size: 7, one: true },
        },
        scales: {
          x: { range: () => [aligned.times[0] ?? 0, aligned.times.at(-1) ?? 1] },
          y: { range: (_, low, high) => yRange(low, high, stacked ? 0 : yMin) },
        },
        axes: [xAxis(dark, useLocalTime), yAxis(dark)],
        series: [{}, ...columns.map((_, i) => line(i, shown[i] ?? true, stacked))],
        bands: stacked ? bandsBetween(shown) : [],
        hooks: {
          setCursor: [(u) => tip.move(u)],
          setSeries: [(u, index) => tip.focus(u, index)],
          setSelect: [(u) => zoomTo(u, zoom.current)],
        },
      },
      [aligned.times, ...columns],
      element,
    );
    plot.current = drawn;
    const resize = new ResizeObserver(() => drawn.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT_PX }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      tip.remove();
      drawn.destroy();
      plot.current = null;
    };
  }, [aligned, names, shown, stacked, yMin, dark, useLocalTime]);

  useImperativeHandle(
    handle,
    () => ({
      // uPlot takes null for "none", which its types do not know.
      focus: (index) => plot.current?.setSeries(index === null ? (null as unknown as number) : index + 1, { focus: true }),
    }),
    [],
  );

  return <div ref={host} className="chart" />;
}

function line(index: number, show: boolean, stacked: boolean): uPlot.Series {
  const color = seriesColor(index);
  return {
    show,
    stroke: color,
    width: 1.25,
    ...(stacked ? { fill: color + '66' } : {}),
    points: {
      size: 5,
      fill: color,
      filter: (u, seriesIndex, pointsShown) =>
        pointsShown ? null : lonelyRows(u.data[seriesIndex] as Column).filter((row) => row >= 0),
    },
  };
}

// Each shown series is filled down to the shown one below it, the lowest down to zero.
function bandsBetween(shown: readonly boolean[]): uPlot.Band[] {
  const visible = shown.flatMap((is, i) => (is ? [i + 1] : []));
  return visible.slice(1).map((upper, i) => ({ series: [upper, visible[i] ?? 1] }));
}

function yRange(low: number | null, high: number | null, floor: number | null): [number, number] {
  // No sample at all: any axis will do.
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const [from, to] = uPlot.rangeNum(floor === null ? low : Math.min(floor, low), high, 0.1, true);
  return [from ?? 0, to ?? 1];
}

function xAxis(dark: boolean, local: boolean): uPlot.Axis {
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

function yAxis(dark: boolean): uPlot.Axis {
  return {
    ...axisColors(dark),
    font: FONT,
    values: (_, ticks, __, ___, step) => formatTicks(ticks, step),
    size: (_, texts) => 18 + 7 * Math.max(3, ...(texts ?? []).map((text) => text.length)),
  };
}

const FONT = '11px system-ui, sans-serif';

function axisColors(dark: boolean) {
  const grid = dark ? 'rgba(255, 255, 255, 0.08)' : 'rgba(0, 0, 0, 0.08)';
  return {
    stroke: dark ? '#a5a9b0' : '#5a6069',
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
  };
}

function zoomTo(u: uPlot, onZoom: (fromMs: number, toMs: number) => void): void {
  const { left, width } = u.select;
  if (width < 4) return;
  const fromMs = Math.floor(u.posToVal(left, 'x')) * 1000;
  const toMs = Math.ceil(u.posToVal(left + width, 'x')) * 1000;
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom(fromMs, Math.max(toMs, fromMs + 1000));
}
