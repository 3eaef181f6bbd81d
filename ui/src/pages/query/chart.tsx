// SPDX-License-Identifier: Apache-2.0
// Lines over time. This, heatmap-chart.tsx and chart-axes.ts are all that know uPlot.
import { useComputedColorScheme } from '@mantine/core';
import { type Ref, useImperativeHandle, useLayoutEffect, useRef } from 'react';
import uPlot from 'uplot';
import { useSettings } from '../../lib/settings';
import { type Aligned, type Column, lonelyRows, stack } from './align';
import { followWidth, HEIGHT_PX, plotWidth, timeZone, xAxis, yAxis, zoomTo } from './chart-axes';
import { ChartTip, type Layers } from './chart-tip';
import { seriesColor } from './colors';
import { type ExemplarMark, ExemplarMarks } from './exemplars';

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
  exemplars: readonly ExemplarMark[];
  onZoom: (fromMs: number, toMs: number) => void;
}

export function Chart({ handle, aligned, names, shown, stacked, yMin, exemplars, onZoom }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<{ drawn: uPlot; tip: ChartTip; of: Aligned } | null>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const dark = useComputedColorScheme('light') === 'dark';
  const { useLocalTime } = useSettings();

  const answer = useRef(aligned);
  answer.current = aligned;

  // What decides how it looks is not followed up one by one: the drawing is made anew.
  useLayoutEffect(() => {
    const element = host.current as HTMLDivElement;
    const layers = layersOf(answer.current, names, shown, stacked);
    const tip = new ChartTip(element, names, useLocalTime, layers);
    const marks = new ExemplarMarks(exemplars, useLocalTime);
    const drawn = new uPlot(
      {
        width: plotWidth(element),
        height: HEIGHT_PX,
        legend: { show: false },
        focus: { alpha: 0.25 },
        tzDate: timeZone(useLocalTime),
        cursor: {
          // In a stack the tip tells the layer; dimming the others would hide it.
          ...(stacked ? {} : { focus: { prox: FOCUS_PX } }),
          drag: { x: true, y: false, setScale: false },
          // One dot, on the series that the tip names: a dot for each would be an element for each.
          points: stacked ? { show: false } : { size: 7, one: true },
        },
        scales: {
          x: { range: () => [answer.current.times[0] ?? 0, answer.current.times.at(-1) ?? 1] },
          y: { range: (_, low, high) => yRange(low, high, stacked ? 0 : yMin) },
        },
        axes: [xAxis(dark, useLocalTime), yAxis(dark)],
        series: [{}, ...layers.drawn.map((_, i) => line(i, shown[i] ?? true, stacked))],
        bands: stacked ? bandsBetween(shown) : [],
        hooks: {
          ready: [(u) => marks.attach(u)],
          draw: [(u) => marks.place(u)],
          setCursor: [(u) => tip.move(u)],
          setSeries: [(u, index) => tip.focus(u, index)],
          setSelect: [(u) => zoomTo(u, zoom.current)],
        },
      },
      [answer.current.times, ...layers.drawn],
      element,
    );
    plot.current = { drawn, tip, of: answer.current };
    const unfollow = followWidth(drawn, element);
    return () => {
      unfollow();
      marks.remove();
      tip.remove();
      drawn.destroy();
      plot.current = null;
    };
  }, [names, shown, stacked, yMin, exemplars, dark, useLocalTime]);

  // New numbers of the same series go into the same drawing.
  useLayoutEffect(() => {
    const { current } = plot;
    if (!current || current.of === aligned) return;
    const layers = layersOf(aligned, names, shown, stacked);
    current.drawn.setData([aligned.times, ...layers.drawn]);
    current.tip.replace(current.drawn, layers);
    current.of = aligned;
  }, [aligned, names, shown, stacked]);

  useImperativeHandle(
    handle,
    () => ({
      // uPlot takes null for "none", which its types do not know.
      focus: (index) => plot.current?.drawn.setSeries(index === null ? (null as unknown as number) : index + 1, { focus: true }),
    }),
    [],
  );

  return <div ref={host} className="chart" />;
}

function layersOf(aligned: Aligned, names: readonly string[], shown: readonly boolean[], isStacked: boolean): Layers {
  const columns = aligned.columns.slice(0, names.length);
  if (!isStacked) return { columns, drawn: columns, stacked: null };
  const drawn = stack(columns, shown);
  return { columns, drawn, stacked: drawn.map((column, i) => (shown[i] ? column : null)) };
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
