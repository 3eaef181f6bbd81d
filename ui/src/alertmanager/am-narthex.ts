// SPDX-License-Identifier: Apache-2.0
// What our Alertmanager answers beyond API v2: /api/v2/narthex/...
import type { Answer } from '../lib/api';
import type { Labels } from '../lib/labels';
import { amCall, type AmAlert } from './am-api';

export interface RouteMatcher {
  name: string;
  operator: string;
  value: string;
  label: string; // the alert's value
  matches: boolean;
}
export interface RouteStep {
  id: string;
  depth: number; // of the tree; the root is 0
  receiver: string;
  continue: boolean;
  matchers: RouteMatcher[];
  asked: boolean; // did the alert come here?
  matched: boolean;
  taken: boolean; // matched, and no route below it did
  why: string;
}
export interface TakenIntegration {
  integration: string;
  index: number;
  sendResolved: boolean;
  last: { at: string; firing: number; resolved: number; thisAlert: string } | null;
  due: boolean;
  reason?: string;
  repeatAfter?: string;
  failed?: { at: string; attempts: number; error: string }; // the last attempt
}
export interface TakenRoute {
  route: string;
  receiver: string;
  groupKey: string;
  groupLabels: Labels;
  groupWaitSeconds: number;
  groupIntervalSeconds: number;
  repeatIntervalSeconds: number;
  mutedBy: string[];
  outsideActiveTime: boolean;
  group: { alerts: number; hasFlushed: boolean; isFlushing: boolean; nextFlush: string; holdsAlert: boolean } | null;
  integrations: TakenIntegration[];
  verdict: string;
}
export interface Explanation {
  labels: Labels;
  fingerprint: string;
  now: string;
  alert: { status: string; startsAt: string; endsAt: string; annotations: Labels } | null;
  inhibitedBy: { fingerprint: string; labels: Labels; rule: number; ruleName: string } | null;
  silencedBy: { id: string; createdBy: string; comment: string; startsAt: string; endsAt: string }[];
  routes: RouteStep[]; // of the whole tree, each before those below it
  taken: TakenRoute[];
}

export interface TemplateFault {
  message: string;
  template: string;
  line?: number;
  column?: number;
}
export interface FilledIn {
  text?: string;
  error?: TemplateFault;
}
export interface Preview extends FilledIn {
  fields?: (FilledIn & { integration: string; index: number; field: string; template: string })[];
}
export interface Trial {
  results: { integration: string; index: number; status: 'success' | 'failed' | 'skipped'; requests: number; httpStatus?: number; durationSeconds: number; error?: string }[];
}

// Alerts to try something with; the server has one of its own for those who give none.
export interface Sample {
  receiver?: string;
  alerts?: Pick<AmAlert, 'labels' | 'annotations' | 'startsAt' | 'endsAt' | 'generatorURL'>[];
  groupLabels?: Labels;
}

export const explain = (labels: Labels, signal: AbortSignal): Promise<Answer<Explanation>> => amCall('POST', 'narthex/explain', signal, { labels });
export const preview = (body: Sample & { text?: string; html?: boolean }, signal: AbortSignal): Promise<Answer<Preview>> => amCall('POST', 'narthex/template', signal, body);
export const sendTest = (body: Sample, signal: AbortSignal): Promise<Answer<Trial>> => amCall('POST', 'narthex/test', signal, body);
