// SPDX-License-Identifier: Apache-2.0
// Sample values come as text so that nothing is lost; these are for axes and summaries only.

const PREFIXES: readonly [number, string][] = [
  [1e24, 'Y'], [1e21, 'Z'], [1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'],
];

// Labels of an axis whose ticks are `step` apart: one prefix and one number of digits for all of them.
export function formatTicks(values: readonly number[], step: number): string[] {
  const largest = Math.max(...values.map(Math.abs), 0);
  if (largest > 0 && largest < 1e-3) return values.map((value) => (value === 0 ? '0' : value.toExponential(1)));
  const [unit, prefix] = PREFIXES.find(([size]) => largest >= size && largest >= 1e4) ?? [1, ''];
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9)));
  return values.map((value) => (value === 0 ? '0' : (value / unit).toFixed(digits) + prefix));
}

export function parseSample(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number.parseFloat(text);
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

export function plural(count: number, one: string, many = one + 's'): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}
