// SPDX-License-Identifier: Apache-2.0
// The box beside the cursor: time, value and name of the series nearest to it. It is plain DOM, because it
// changes with each move of the mouse.
import type uPlot from 'uplot';
import { formatTime } from '../../lib/time';
import type { Column } from './align';
import { seriesColor } from './colors';

const GAP_PX = 14;

// What is drawn for each series, and whose numbers are told: in a stack, another's height is part of the drawn one's.
export interface Layers {
  columns: readonly Column[];
  drawn: readonly Column[];
  stacked: readonly (Column | null)[] | null; // bottom first, null for those that are not shown; null if there is no stack
}

export class ChartTip {
  private readonly box = document.createElement('div');
  private readonly time = document.createElement('div');
  private readonly value = document.createElement('div');
  private readonly name = document.createElement('div');
  private focused: number | null = null;

  constructor(
    private readonly host: HTMLElement,
    private readonly names: readonly string[],
    private readonly local: boolean,
    private layers: Layers,
  ) {
    this.box.className = 'chart-tip';
    this.time.className = 'chart-tip-time';
    this.value.className = 'chart-tip-value';
    this.name.className = 'chart-tip-name';
    this.box.append(this.time, this.value, this.name);
    this.box.hidden = true;
    host.append(this.box);
  }

  remove(): void {
    this.box.remove();
  }

  // The same series have other numbers now.
  replace(u: uPlot, layers: Layers): void {
    this.layers = layers;
    this.move(u);
  }

  // `index` counts the time axis as 0.
  focus(u: uPlot, index: number | null): void {
    this.focused = index === null || index === 0 ? null : index - 1;
    this.move(u);
  }

  move(u: uPlot): void {
    const { left, top, idx } = u.cursor;
    const index = this.pick(u);
    const value = index !== null && idx != null ? this.layers.columns[index]?.[idx] : null;
    if (left === undefined || left < 0 || top === undefined || index === null || idx == null || value == null) {
      this.box.hidden = true;
      return;
    }
    this.time.textContent = formatTime(Math.round((u.data[0][idx] ?? 0) * 1000), this.local) + (this.local ? '' : ' UTC');
    this.value.textContent = String(value);
    this.value.style.setProperty('--swatch', seriesColor(index));
    this.name.textContent = this.names[index] ?? '';
    this.box.hidden = false;
    this.place(u.over.offsetLeft + left, u.over.offsetTop + top);
  }

  // Between lines the nearest is meant, in a stack the layer that the cursor is in, and a lone series always.
  private pick(u: uPlot): number | null {
    const { top, idx } = u.cursor;
    const { stacked } = this.layers;
    if (!stacked || top === undefined || idx == null) return this.focused ?? (this.names.length === 1 ? 0 : null);
    const height = u.posToVal(top, 'y');
    const index = stacked.findIndex((layer) => layer !== null && (layer[idx] ?? 0) >= height);
    return index === -1 || height < 0 ? null : index;
  }

  private place(x: number, y: number): void {
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const toLeft = x + GAP_PX + width > this.host.clientWidth;
    const placeX = Math.max(0, toLeft ? x - GAP_PX - width : x + GAP_PX);
    const placeY = Math.max(0, Math.min(y + GAP_PX, this.host.clientHeight - height));
    this.box.style.transform = `translate(${placeX}px, ${placeY}px)`;
  }
}
