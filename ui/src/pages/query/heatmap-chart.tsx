// SPDX-License-Identifier: Apache-2.0
// Histograms over time: a rectangle for each bucket and step, the darker the more observations fell into it.
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { useSettings } from '../../lib/settings';
import { formatTime } from '../../lib/time';
import { followWidth, HEIGHT_PX, plotWidth, timeZone, xAxis, yAxis, zoomTo } from './chart-axes';
import type { Cell, Heat } from './heatmap';

interface HeatmapChartProps {
  heat: Heat;
  stepS: number;
  onZoom: (fromMs: number, toMs: number) => void;
}

export function HeatmapChart({ heat, stepS, onZoom }: HeatmapChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const dark = useComputedColorScheme('light') === 'dark';
  const { useLocalTime } = useSettings();

  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const tip = document.createElement('div');
    tip.className = 'chart-tip';
    tip.hidden = true;
    const first = heat.times[0] ?? 0;
    const plot = new uPlot(
      {
        width: plotWidth(element),
        height: HEIGHT_PX,
        legend: { show: false },
        tzDate: timeZone(useLocalTime),
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
        scales: {
          x: { range: () => [first - stepS, heat.times.at(-1) ?? first + 1] },
          y: { distr: heat.isLog ? 3 : 1, range: () => [heat.low, heat.high] },
        },
        axes: [xAxis(dark, useLocalTime), yAxis(dark)],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [(u) => drawCells(u, heat, stepS, dark)],
          setCursor: [(u) => showCell(u, heat, stepS, tip, useLocalTime)],
          setSelect: [(u) => zoomTo(u, zoom.current)],
        },
      },
      [heat.times, heat.times.map(() => heat.high)],
      element,
    );
    element.append(tip);
    const unfollow = followWidth(plot, element);
    return () => {
      unfollow();
      tip.remove();
      plot.destroy();
    };
  }, [heat, stepS, dark, useLocalTime]);

  return <div ref={host} className="chart" role="img" aria-label="Heatmap of histogram buckets" />;
}

// What is counted at a step happened since the one before it.
function drawCells(u: uPlot, { times, cells, most }: Heat, stepS: number, dark: boolean): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const cell of cells) {
    const time = times[cell.column] ?? 0;
    const left = u.valToPos(time - stepS, 'x', true);
    const right = u.valToPos(time, 'x', true);
    const top = u.valToPos(cell.high, 'y', true);
    const bottom = u.valToPos(cell.low, 'y', true);
    // A square root lets the rare ones be seen beside the frequent ones.
    const weight = Math.sqrt(cell.count / most);
    ctx.fillStyle = dark ? `hsl(${22 + 26 * weight} 85% ${18 + 50 * weight}%)` : `hsl(${38 - 22 * weight} 80% ${92 - 55 * weight}%)`;
    ctx.fillRect(Math.floor(left), Math.floor(top), Math.max(1, Math.ceil(right - left) - 1), Math.max(1, Math.ceil(bottom - top) - 1));
  }
  ctx.restore();
}

function showCell(u: uPlot, { times, cells }: Heat, stepS: number, tip: HTMLElement, local: boolean): void {
  const { left = -1, top = -1 } = u.cursor;
  const time = u.posToVal(left, 'x');
  const value = u.posToVal(top, 'y');
  const within = (cell: Cell) => {
    const end = times[cell.column] ?? 0;
    return time > end - stepS && time <= end && value >= cell.low && value <= cell.high;
  };
  const cell = left < 0 ? undefined : cells.find(within);
  tip.hidden = !cell;
  if (!cell) return;
  const lines = [
    formatTime(Math.round((times[cell.column] ?? 0) * 1000), local) + (local ? '' : ' UTC'),
    `${Number(cell.low.toPrecision(6))} to ${Number(cell.high.toPrecision(6))}`,
    String(Number(cell.count.toPrecision(6))),
  ];
  tip.replaceChildren(
    ...lines.map((text) => {
      const line = document.createElement('div');
      line.textContent = text;
      return line;
    }),
  );
  const x = u.over.offsetLeft + left;
  const placeX = x + 14 + tip.offsetWidth > u.root.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.transform = `translate(${Math.max(0, placeX)}px, ${Math.max(0, u.over.offsetTop + top + 14)}px)`;
}
