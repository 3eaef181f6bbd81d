// SPDX-License-Identifier: Apache-2.0
import type { AlertingRule, AlertState, Rule, RuleGroup, RuleHealth } from '../../lib/api';
import { matchesSearch, seriesText } from '../../lib/labels';

// The worst first: a rule is shown by the worst of its alerts.
export const STATES: readonly AlertState[] = ['firing', 'pending', 'inactive', 'unknown'];
export const HEALTHS: readonly RuleHealth[] = ['ok', 'err', 'unknown'];

export interface Group<R extends Rule> {
  key: string;
  group: RuleGroup;
  rules: R[];
}

export function isAlerting(rule: Rule): rule is AlertingRule {
  return rule.type === 'alerting';
}

export function countStates(groups: readonly RuleGroup[]): Record<AlertState, number> {
  const counts: Record<AlertState, number> = { firing: 0, pending: 0, inactive: 0, unknown: 0 };
  for (const { rules } of groups) for (const rule of rules) if (isAlerting(rule)) counts[rule.state] += 1;
  return counts;
}

export function countHealths(groups: readonly RuleGroup[]): Record<RuleHealth, number> {
  const counts: Record<RuleHealth, number> = { ok: 0, err: 0, unknown: 0 };
  for (const { rules } of groups) for (const rule of rules) counts[rule.health] += 1;
  return counts;
}

// What a search looks through: names, expression, labels, annotations, and those of the alerts.
function textOf(group: RuleGroup, rule: Rule): string {
  const parts = [group.name, group.file, rule.name, rule.query, seriesText(rule.labels ?? {}), rule.lastError ?? ''];
  if (isAlerting(rule)) {
    parts.push(...Object.values(rule.annotations ?? {}));
    for (const alert of rule.alerts) parts.push(seriesText(alert.labels), ...Object.values(alert.annotations));
  }
  return parts.join(' ');
}

// Groups without a rule that is kept are left out; the server's order stays.
export function keepRules<R extends Rule>(
  groups: readonly RuleGroup[],
  wanted: (rule: Rule) => rule is R,
  search: string,
): Group<R>[] {
  const kept: Group<R>[] = [];
  for (const group of groups) {
    const rules = group.rules.filter(
      (rule): rule is R => wanted(rule) && (search === '' || matchesSearch(textOf(group, rule), search)),
    );
    if (rules.length > 0) kept.push({ key: `${group.file};${group.name}`, group, rules });
  }
  return kept;
}

// Firing before pending, then by how long: the newest last.
export function sortAlerts(rule: AlertingRule): AlertingRule['alerts'] {
  return [...rule.alerts].sort(
    (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || Date.parse(a.activeAt) - Date.parse(b.activeAt),
  );
}
