// SPDX-License-Identifier: Apache-2.0
// The HTTP API, version 1: its types and one way to call it.
import { basePath } from './base-path';
import type { Labels } from './labels';

export type Point = [number, string];
export type Bucket = [rule: number, lower: string, upper: string, count: string];
export interface Histogram {
  count: string;
  sum: string;
  buckets?: Bucket[];
}
export interface VectorItem {
  metric: Labels;
  value?: Point;
  histogram?: [number, Histogram];
}
export interface MatrixItem {
  metric: Labels;
  values?: Point[];
  histograms?: [number, Histogram][];
}
export interface QueryStats {
  timings: Record<string, number>; // seconds
  samples: { totalQueryableSamples: number; peakSamples: number; samplesRead?: number };
}
export type QueryData = { stats?: QueryStats } & QueryResult;
type QueryResult =
  | { resultType: 'vector'; result: VectorItem[] }
  | { resultType: 'matrix'; result: MatrixItem[] }
  | { resultType: 'scalar'; result: Point }
  | { resultType: 'string'; result: Point };

export type Health = 'up' | 'down' | 'unknown';
export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: Health;
  scrapeInterval?: string;
  scrapeTimeout?: string;
}
export interface TargetsData {
  activeTargets: Target[];
  droppedTargets: { discoveredLabels: Labels; scrapePool?: string }[];
  droppedTargetCounts?: Record<string, number>;
}
export interface BlockMeta {
  ulid: string;
  minTime: number;
  maxTime: number;
  stats: { numSamples?: number; numSeries?: number; numChunks?: number; numTombstones?: number };
  compaction: { level: number };
}
export interface NameValue {
  name: string;
  value: number;
}
export interface TsdbStatus {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: NameValue[];
  labelValueCountByLabelName: NameValue[];
  memoryInBytesByLabelName: NameValue[];
  seriesCountByLabelValuePair: NameValue[];
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

export type AlertState = 'firing' | 'pending' | 'inactive' | 'unknown';
export type RuleHealth = 'ok' | 'err' | 'unknown';
export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: AlertState;
  activeAt: string;
  keepFiringSince?: string;
  value: string;
}
interface RuleBase {
  name: string;
  query: string;
  line?: number; // of the group's file; only our own server tells it
  labels?: Labels;
  health: RuleHealth;
  lastError?: string;
  evaluationTime: number; // seconds
  lastEvaluation: string;
}
export interface AlertingRule extends RuleBase {
  type: 'alerting';
  state: AlertState;
  duration: number; // seconds
  keepFiringFor: number;
  annotations?: Labels;
  alerts: Alert[];
}
export interface RecordingRule extends RuleBase {
  type: 'recording';
}
export type Rule = AlertingRule | RecordingRule;
export interface RuleGroup {
  name: string;
  file: string;
  interval: number; // seconds
  limit: number;
  rules: Rule[];
  evaluationTime: number;
  lastEvaluation: string;
}
export interface RulesData {
  groups: RuleGroup[];
}
export interface AlertmanagersData {
  activeAlertmanagers: { url: string }[];
  droppedAlertmanagers: { url: string }[];
}

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  tookMs: number;
}

export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly type: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

interface Envelope<T> {
  status: 'success' | 'error';
  data?: T;
  errorType?: string;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

export type Params = Record<string, string | number | undefined>;

function encode(params: Params): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined) form.set(name, String(value));
  return form.toString();
}

// `path` is below /api/v1. Throws ApiError, or what fetch throws (AbortError, TypeError).
export async function apiGet<T>(path: string, params: Params, signal: AbortSignal): Promise<Answer<T>> {
  const query = encode(params);
  return call<T>(`${basePath}/api/v1/${path}${query ? '?' + query : ''}`, { signal });
}

// For expressions, which can be longer than a URL may be.
export async function apiPost<T>(path: string, params: Params, signal: AbortSignal): Promise<Answer<T>> {
  return call<T>(`${basePath}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(encode(params)), signal });
}

// Deeds of the admin API answer with nothing when they succeed.
export async function apiAdmin(path: string, params: Params): Promise<void> {
  const response = await fetch(`${basePath}/api/v1/${path}`, {
    method: 'POST', body: new URLSearchParams(encode(params)), credentials: 'same-origin',
  });
  if (response.ok) return;
  const text = await response.text();
  const envelope = parseEnvelope<never>(text);
  if (!envelope) throw foreignAnswer(response, text);
  throw new ApiError(envelope.errorType ?? 'error', envelope.error ?? response.statusText, response.status);
}

// What answered the form, still as it came, and how long it took.
export async function postRaw(path: string, params: Params, accept: string, signal: AbortSignal): Promise<{ type: string; bytes: ArrayBuffer; response: Response; tookMs: number }> {
  const start = performance.now();
  const response = await fetch(`${basePath}/api/v1/${path}`, {
    method: 'POST', body: new URLSearchParams(encode(params)), headers: { accept }, signal, credentials: 'same-origin', cache: 'no-store',
  });
  const bytes = await response.arrayBuffer();
  return { type: response.headers.get('content-type') ?? '', bytes, response, tookMs: performance.now() - start };
}

async function call<T>(url: string, init: RequestInit): Promise<Answer<T>> {
  const start = performance.now();
  const response = await fetch(url, { ...init, credentials: 'same-origin', cache: 'no-store' });
  return unwrap<T>(response, await response.text(), performance.now() - start);
}

// What the JSON document says; throws ApiError if it says an error.
export function unwrap<T>(response: Response, text: string, tookMs: number): Answer<T> {
  const envelope = parseEnvelope<T>(text);
  if (!envelope) throw foreignAnswer(response, text);
  if (envelope.status !== 'success') {
    const fallback = `${response.status} ${response.statusText}`;
    throw new ApiError(envelope.errorType ?? 'error', envelope.error ?? fallback, response.status);
  }
  return { data: envelope.data as T, warnings: envelope.warnings ?? [], infos: envelope.infos ?? [], tookMs };
}

function parseEnvelope<T>(text: string): Envelope<T> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'status' in value ? (value as Envelope<T>) : null;
  } catch {
    return null;
  }
}

function foreignAnswer(response: Response, text: string): ApiError {
  if (response.status === 503)
    return new ApiError('unavailable', 'The server is starting or stopping and does not answer queries yet.', 503);
  if (response.status === 404) return new ApiError('not_found', 'This server does not offer what the page asks for.', 404);
  const start = text.trim().slice(0, 200);
  return new ApiError('bad_response', `${response.status} ${response.statusText}: ${start || 'empty answer'}`, response.status);
}

// A sentence for a person.
export function describeError(error: unknown): { title: string; text: string } {
  if (error instanceof ApiError) return { title: TITLES[error.type] ?? error.type, text: error.message };
  if (error instanceof TypeError) return { title: 'No connection', text: 'The server cannot be reached.' };
  return { title: 'Error', text: error instanceof Error ? error.message : String(error) };
}

const TITLES: Record<string, string> = {
  bad_data: 'Invalid query',
  execution: 'Query failed',
  timeout: 'Query timed out',
  canceled: 'Query canceled',
  internal: 'Server error',
  unavailable: 'Not ready',
  not_found: 'Not found',
  bad_response: 'Unexpected answer',
};
