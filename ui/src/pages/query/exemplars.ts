// SPDX-License-Identifier: Apache-2.0
// Exemplars of a graph: small diamonds over it, at their time and value. A stranger's page gives their labels, so they
// go into the page as text only.
import type uPlot from 'uplot';
import { type Labels, seriesText } from '../../lib/labels';
import { parseSample } from '../../lib/number';
import { formatTime } from '../../lib/time';

const MARKS_MAX = 300;

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[]; // seconds
}

export interface ExemplarMark {
  time: number; // seconds
  value: number;
  labels: Labels;
  series: Labels;
}

// The newest ones, when there are more than can be told apart.
export function exemplarMarks(all: readonly ExemplarSeries[]): ExemplarMark[] {
  const marks = all.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels, value, timestamp }) => ({ time: timestamp, value: parseSample(value), labels, series: seriesLabels })),
  );
  return marks
    .filter((mark) => Number.isFinite(mark.value))
    .toSorted((a, b) => b.time - a.time)
    .slice(0, MARKS_MAX);
}

export class ExemplarMarks {
  private readonly layer = document.createElement('div');
  private readonly elements: HTMLButtonElement[];
  private readonly note = document.createElement('div');

  constructor(
    private readonly marks: readonly ExemplarMark[],
    private readonly local: boolean,
  ) {
    this.layer.className = 'exemplars';
    this.note.className = 'chart-tip exemplar-note';
    this.note.hidden = true;
    this.elements = marks.map((mark) => this.element(mark));
    this.layer.append(...this.elements);
  }

  attach(u: uPlot): void {
    if (this.marks.length === 0) return;
    u.over.append(this.layer);
    u.root.parentElement?.append(this.note);
    this.place(u);
  }

  remove(): void {
    this.layer.remove();
    this.note.remove();
  }

  place(u: uPlot): void {
    const { width, height } = this.size(u);
    this.marks.forEach((mark, i) => {
      const element = this.elements[i];
      if (!element) return;
      const x = u.valToPos(mark.time, 'x');
      // A value beyond the axis is shown at its end.
      const y = Math.min(height, Math.max(0, u.valToPos(mark.value, 'y')));
      element.hidden = x < 0 || x > width;
      element.style.transform = `translate(${x}px, ${y}px) rotate(45deg)`;
    });
  }

  private size(u: uPlot): { width: number; height: number } {
    return { width: u.over.clientWidth, height: u.over.clientHeight };
  }

  private element(mark: ExemplarMark): HTMLButtonElement {
    const element = document.createElement('button');
    element.type = 'button';
    element.className = 'exemplar';
    element.setAttribute('aria-label', `Exemplar ${mark.value} ${seriesText(mark.labels)}`);
    const show = () => this.show(mark, element);
    const hide = () => void (this.note.hidden = true);
    element.addEventListener('mouseenter', show);
    element.addEventListener('focus', show);
    element.addEventListener('mouseleave', hide);
    element.addEventListener('blur', hide);
    return element;
  }

  private show(mark: ExemplarMark, element: HTMLElement): void {
    const lines: [string, string][] = [
      ['chart-tip-time', formatTime(Math.round(mark.time * 1000), this.local) + (this.local ? '' : ' UTC')],
      ['chart-tip-value', String(mark.value)],
      ...Object.entries(mark.labels).map(([name, value]): [string, string] => ['chart-tip-name', `${name}: ${value}`]),
      ['chart-tip-name dim', seriesText(mark.series)],
    ];
    this.note.replaceChildren(
      ...lines.map(([className, text]) => {
        const line = document.createElement('div');
        line.className = className;
        line.textContent = text;
        return line;
      }),
    );
    this.note.hidden = false;
    const host = this.note.offsetParent as HTMLElement | null;
    const box = element.getBoundingClientRect();
    const frame = host?.getBoundingClientRect() ?? box;
    const left = Math.min(box.left - frame.left + 12, frame.width - this.note.offsetWidth);
    this.note.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, box.top - frame.top + 12)}px)`;
  }
}
