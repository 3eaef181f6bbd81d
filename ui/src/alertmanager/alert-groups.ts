// SPDX-License-Identifier: Apache-2.0
// Alerts in the groups that Alertmanager notifies by, or in those that the reader asks for.
import type { Labels } from '../lib/labels';
import type { AmAlert, AmGroup } from './am-api';

export interface ShownGroup {
  key: string;
  labels: Labels;
  receivers: string[];
  alerts: AmAlert[];
}

// Groups with the same labels of several receivers are one to the reader.
export function serverGroups(groups: readonly AmGroup[]): ShownGroup[] {
  const shown = new Map<string, ShownGroup>();
  for (const group of groups) {
    const key = JSON.stringify(Object.entries(group.labels).toSorted());
    const same = shown.get(key);
    if (!same) {
      shown.set(key, { key, labels: group.labels, receivers: [group.receiver.name], alerts: [...group.alerts] });
      continue;
    }
    if (!same.receivers.includes(group.receiver.name)) same.receivers.push(group.receiver.name);
    const known = new Set(same.alerts.map((alert) => alert.fingerprint));
    same.alerts.push(...group.alerts.filter((alert) => !known.has(alert.fingerprint)));
  }
  return [...shown.values()];
}

// `names`: the labels to group by, those that an alert lacks left out.
export function groupsBy(groups: readonly AmGroup[], names: readonly string[]): ShownGroup[] {
  const shown = new Map<string, ShownGroup>();
  const seen = new Set<string>();
  for (const group of groups)
    for (const alert of group.alerts) {
      if (seen.has(alert.fingerprint)) continue;
      seen.add(alert.fingerprint);
      const labels = Object.fromEntries(names.flatMap((name) => (alert.labels[name] === undefined ? [] : [[name, alert.labels[name]]]))) as Labels;
      const key = JSON.stringify(labels);
      const same = shown.get(key);
      if (same) same.alerts.push(alert);
      else shown.set(key, { key, labels, receivers: alert.receivers.map(({ name }) => name), alerts: [alert] });
    }
  return [...shown.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
