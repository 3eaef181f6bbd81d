// SPDX-License-Identifier: Apache-2.0
// Twelve colours that stay apart from each other on white and on near-black, then the same ones lighter
// and darker.
const HUES = [
  '#3d7edb', '#e0702e', '#2f9e63', '#c8455f', '#8a63d2', '#b8912b', '#2b9eb3', '#d262a8', '#7a9a35', '#a0664b', '#5c74a6', '#6f8f86',
];
const SHIFTS = [0, 0.3, -0.25];

export function seriesColor(index: number): string {
  const base = HUES[index % HUES.length] ?? '#888888';
  const shift = SHIFTS[Math.floor(index / HUES.length) % SHIFTS.length] ?? 0;
  return shift === 0 ? base : mix(base, shift > 0 ? 255 : 0, Math.abs(shift));
}

function mix(color: string, towards: number, amount: number): string {
  const parts = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16);
    return Math.round(value + (towards - value) * amount).toString(16).padStart(2, '0');
  });
  return '#' + parts.join('');
}
