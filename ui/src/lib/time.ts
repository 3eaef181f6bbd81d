// SPDX-License-Identifier: Apache-2.0
// Points in time as text, in UTC or in the zone of the browser.
import { humanDuration } from './duration';

const two = (n: number) => String(n).padStart(2, '0');

// "2026-01-31 08:05:09"; milliseconds only where there are some.
export function formatTime(ms: number, local: boolean): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return 'invalid time';
  const [year, month, day, hour, minute, second] = local
    ? [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()]
    : [
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ];
  const milli = ((ms % 1000) + 1000) % 1000;
  const fraction = milli === 0 ? '' : '.' + String(Math.floor(milli)).padStart(3, '0');
  return `${year}-${two(month + 1)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
}

const TIME = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?)?(Z?)$/;

// The reverse, more forgiving; also takes seconds since 1970. Null if it is no time.
export function parseTime(text: string, local: boolean): number | null {
  const trimmed = text.trim();
  if (/^\d{9,}(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  const match = TIME.exec(trimmed);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number, number, number, number, number, number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return null;
  const milli = Number((match[7] ?? '').padEnd(3, '0'));
  const zoned = local && match[8] !== 'Z';
  const date = zoned
    ? new Date(year, month - 1, day, hour, minute, second, milli)
    : new Date(Date.UTC(year, month - 1, day, hour, minute, second, milli));
  // The 31st of a month that has 30 days would slip into the next one.
  return (zoned ? date.getDate() : date.getUTCDate()) === day ? date.getTime() : null;
}

// Go's zero time stands for "never".
export function parseServerTime(text: string): number | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms <= 0 ? null : ms;
}

export function formatServerTime(text: string, local: boolean): string {
  const ms = parseServerTime(text);
  return ms === null ? 'never' : formatTime(Math.floor(ms / 1000) * 1000, local) + (local ? '' : ' UTC');
}

export function formatAgo(text: string, nowMs: number): string {
  const ms = parseServerTime(text);
  if (ms === null) return 'never';
  // The clocks of server and browser differ a little.
  return `${humanDuration(Math.max(0, nowMs - ms))} ago`;
}

// Labels of a time axis whose ticks, in seconds, are `stepS` apart: the time, no finer than needed, and below it
// the date where the day changes.
export function formatTimeTicks(ticksS: readonly number[], stepS: number, local: boolean): string[] {
  let day = '';
  return ticksS.map((tick) => {
    const [date = '', time = ''] = formatTime(Math.round(tick * 1000), local).split(' ');
    if (stepS >= 86_400) return date;
    const short = stepS >= 60 ? time.slice(0, 5) : time;
    if (date === day) return short;
    day = date;
    return `${short}\n${date}`;
  });
}
