// SPDX-License-Identifier: Apache-2.0
// What a panel asks the server. The first panels of an address are asked for early, before the code that shows them is
// here; who then asks for the same gets that answer.
import { type Answer, apiPost, type QueryData } from '../../lib/api';
import type { RangeData } from '../../lib/columns';
import { queryRange } from '../../lib/query-range';
import { type PanelState, stepMs, tooManyPoints } from './panel-state';

export const SERIES_MAX = 2000;
export const ROWS_MAX = 20_000;
// "Now" was another moment by then.
const EARLY_MS_MAX = 10_000;

const early = new Map<string, Promise<Answer<unknown>>>();

export const rangeKey = (state: PanelState): string => JSON.stringify([state.expr, state.endMs, state.rangeMs, stepMs(state)]);
const momentKey = (state: PanelState): string => JSON.stringify([state.expr, state.endMs]);

export function askEarly(panels: readonly PanelState[]): void {
  const { signal } = new AbortController();
  for (const panel of panels) {
    if (panel.expr.trim() === '') continue;
    if (panel.tab === 'graph' && !tooManyPoints(panel)) keep(rangeKey(panel), sendRange(panel, signal));
    if (panel.tab === 'table') keep(momentKey(panel), sendMoment(panel, signal));
  }
}

function keep(key: string, answer: Promise<Answer<unknown>>): void {
  early.set(key, answer);
  answer.catch(() => undefined); // whoever takes it is told
  setTimeout(() => early.delete(key), EARLY_MS_MAX);
}

function take<T>(key: string): Promise<Answer<T>> | undefined {
  const answer = early.get(key);
  early.delete(key);
  return answer as Promise<Answer<T>> | undefined;
}

export function askRange(state: PanelState, signal: AbortSignal): Promise<Answer<RangeData>> {
  return take<RangeData>(rangeKey(state)) ?? sendRange(state, signal);
}

export function askMoment(state: PanelState, signal: AbortSignal): Promise<Answer<QueryData>> {
  return take<QueryData>(momentKey(state)) ?? sendMoment(state, signal);
}

// The ends of the graph, in seconds.
export function rangeOf({ endMs, rangeMs }: PanelState): { start: number; end: number } {
  const end = (endMs ?? Date.now()) / 1000;
  return { start: end - rangeMs / 1000, end };
}

function sendRange(state: PanelState, signal: AbortSignal): Promise<Answer<RangeData>> {
  return queryRange({ query: state.expr, ...rangeOf(state), step: stepMs(state) / 1000, limit: SERIES_MAX, stats: 'true' }, signal);
}

function sendMoment({ expr, endMs }: PanelState, signal: AbortSignal): Promise<Answer<QueryData>> {
  return apiPost<QueryData>('query', { query: expr, time: (endMs ?? Date.now()) / 1000, limit: ROWS_MAX, stats: 'true' }, signal);
}
