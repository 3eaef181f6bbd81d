// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Alert, AlertingRule, AlertState, RecordingRule, Rule, RuleGroup } from '../../lib/api';
import { countHealths, countStates, isAlerting, keepRules, sortAlerts } from './rules';

const base = { query: 'up == 0', health: 'ok' as const, evaluationTime: 0.001, lastEvaluation: '2026-01-01T00:00:00Z' };
const alert = (state: AlertState, activeAt: string, instance: string): Alert => ({
  labels: { alertname: 'Down', instance }, annotations: { summary: `${instance} is down` }, state, activeAt, value: '1e+00',
});
const alerting = (name: string, state: AlertState, alerts: Alert[] = []): AlertingRule => ({
  ...base, type: 'alerting', name, state, duration: 60, keepFiringFor: 0, labels: { severity: 'page' }, alerts,
});
const recording: RecordingRule = { ...base, type: 'recording', name: 'job:up:sum', query: 'sum by (job) (up)', health: 'err', lastError: 'no' };
const group = (name: string, rules: Rule[]): RuleGroup => ({
  name, file: 'rules.yml', interval: 15, limit: 0, rules, evaluationTime: 0.002, lastEvaluation: base.lastEvaluation,
});
const groups = [
  group('a', [alerting('Down', 'firing', [alert('firing', '2026-01-01T00:00:00Z', 'x:1')]), recording]),
  group('b', [recording]),
  group('c', [alerting('Slow', 'inactive'), alerting('Full', 'pending')]),
];

test('rules are counted by state and by health', () => {
  expect(countStates(groups)).toEqual({ firing: 1, pending: 1, inactive: 1, unknown: 0 });
  expect(countHealths(groups)).toEqual({ ok: 3, err: 2, unknown: 0 });
});

test('groups without a rule that is wanted are left out', () => {
  expect(keepRules(groups, isAlerting, '').map(({ group: { name }, rules }) => [name, rules.map((rule) => rule.name)])).toEqual([
    ['a', ['Down']],
    ['c', ['Slow', 'Full']],
  ]);
});

test.each([
  ['a rule by its name', 'slow', ['Slow']],
  ['all rules of a group', 'rules.yml', ['Down', 'Slow', 'Full']],
  ['a label', 'severity="page"', ['Down', 'Slow', 'Full']],
  ['an alert by its annotation', 'x:1 is down', ['Down']],
  ['every word must be there', 'down nonsense', []],
])('the search finds %s', (_, search, want) => {
  expect(keepRules(groups, isAlerting, search).flatMap(({ rules }) => rules.map((rule) => rule.name))).toEqual(want);
});

test('alerts that fire come first, older ones before newer ones', () => {
  const rule = alerting('Down', 'firing', [
    alert('pending', '2026-01-01T00:00:00Z', 'p'),
    alert('firing', '2026-01-01T00:02:00Z', 'new'),
    alert('firing', '2026-01-01T00:01:00Z', 'old'),
  ]);
  expect(sortAlerts(rule).map(({ labels }) => labels['instance'])).toEqual(['old', 'new', 'p']);
});
