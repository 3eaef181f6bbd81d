// SPDX-License-Identifier: Apache-2.0
// Lengths of time as Prometheus writes them: 1h30m, 15s, 250ms.

const UNITS: readonly [string, number][] = [
  ['y', 365 * 86_400_000],
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

const PATTERN = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

// Milliseconds, or null if the text is no duration. Units go from large to small, each once; a bare "0" is
// the one number that needs no unit.
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  const match = trimmed === '' ? null : PATTERN.exec(trimmed);
  if (!match) return null;
  const ms = UNITS.reduce((sum, [, unitMs], i) => sum + Number(match[i + 1] ?? 0) * unitMs, 0);
  return Number.isSafeInteger(ms) ? ms : null;
}

// Years, weeks and (alone) days are used only where they fit exactly, as the server prints them.
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  if (rest === 0) return '0s';
  let text = '';
  for (const [unit, unitMs] of UNITS) {
    const exactOnly = unit === 'y' || unit === 'w';
    if (exactOnly ? rest % unitMs !== 0 : rest < unitMs) continue;
    const count = Math.floor(rest / unitMs);
    if (count === 0) continue;
    text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}

// For people: two units at most ("3h 12m", "12.3s", "4.1ms", "820µs").
export function humanDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'n/a';
  if (ms < 0) return '-' + humanDuration(-ms);
  if (ms === 0) return '0s';
  if (ms < 1) return `${trimNumber(ms * 1000)}µs`;
  if (ms < 1000) return `${trimNumber(ms)}ms`;
  if (ms < 60_000) return `${trimNumber(ms / 1000)}s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

function trimNumber(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

// The ranges that the - and + buttons of the graph step through.
export const RANGE_STEPS_MS: readonly number[] = [
  1000, 10_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
  2 * 86_400_000, 7 * 86_400_000, 14 * 86_400_000, 28 * 86_400_000, 56 * 86_400_000, 112 * 86_400_000,
  182 * 86_400_000, 365 * 86_400_000, 730 * 86_400_000,
];

export function nextRange(ms: number, direction: 1 | -1): number {
  if (direction === 1) return RANGE_STEPS_MS.find((step) => step > ms) ?? ms;
  return RANGE_STEPS_MS.filter((step) => step < ms).at(-1) ?? ms;
}
