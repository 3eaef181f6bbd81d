// SPDX-License-Identifier: Apache-2.0
// Alertmanager's HTTP API, version 2. Errors are JSON strings or {code, message}.
import { type Answer, ApiError } from '../lib/api';
import { basePath } from '../lib/base-path';
import type { Labels } from '../lib/labels';
import { type Matcher, matcherText } from '../lib/matchers';

export interface AmAlert {
  labels: Labels;
  annotations: Labels;
  receivers: { name: string }[];
  fingerprint: string;
  startsAt: string;
  updatedAt: string;
  endsAt: string;
  generatorURL?: string;
  status: { state: 'active' | 'suppressed' | 'unprocessed'; silencedBy: string[]; inhibitedBy: string[]; mutedBy?: string[] };
}
export interface AmGroup {
  labels: Labels;
  receiver: { name: string };
  alerts: AmAlert[];
}
export interface Silence {
  id: string;
  status: { state: SilenceState };
  updatedAt: string;
  comment: string;
  createdBy: string;
  startsAt: string;
  endsAt: string;
  matchers: (Omit<Matcher, 'isEqual'> & { isEqual?: boolean })[]; // isEqual is missing from old silences: true
  annotations?: Labels;
}
export type SilenceState = 'active' | 'pending' | 'expired';
export interface PostableSilence {
  id?: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
}
export interface AmStatus {
  uptime: string;
  config: { original: string };
  versionInfo: Record<string, string>;
  cluster: { status: string; name?: string; peers?: { name: string; address: string }[] };
}

type Params = Record<string, string | readonly string[]>;

function encode(params: Params): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    for (const one of typeof value === 'string' ? [value] : value) form.append(name, one);
  const text = form.toString();
  return text ? '?' + text : '';
}

export async function amCall<T>(method: string, path: string, signal: AbortSignal | null, body?: unknown): Promise<Answer<T>> {
  const start = performance.now();
  const response = await fetch(`${basePath}/api/v2/${path}`, {
    method, signal, cache: 'no-store', credentials: 'same-origin',
    ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiError('error', errorText(text) || `${response.status} ${response.statusText}`, response.status);
  const data = (text === '' ? null : JSON.parse(text)) as T;
  return { data, warnings: [], infos: [], tookMs: performance.now() - start };
}

function errorText(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  } catch {
    // Not JSON: what a proxy says.
  }
  return text.trim().slice(0, 300);
}

export const amGet = <T>(path: string, params: Params, signal: AbortSignal): Promise<Answer<T>> => amCall<T>('GET', path + encode(params), signal);

export const filterParams = (matchers: readonly Matcher[]): Params => ({ filter: matchers.map(matcherText) });

export async function saveSilence(silence: PostableSilence): Promise<string> {
  const { data } = await amCall<{ silenceID: string }>('POST', 'silences', null, silence);
  return data.silenceID;
}

export async function expireSilence(id: string): Promise<void> {
  await amCall<null>('DELETE', `silence/${encodeURIComponent(id)}`, null);
}

export function silenceMatchers(silence: Silence): Matcher[] {
  return silence.matchers.map((matcher) => ({ ...matcher, isEqual: matcher.isEqual ?? true }));
}
