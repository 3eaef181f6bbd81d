// SPDX-License-Identifier: Apache-2.0
// What several of Alertmanager's pages share.
import { ActionIcon, TextInput } from '@mantine/core';
import { useState } from 'react';
import { hashHref } from '../lib/hash-router';
import { labelName, type Labels, quote } from '../lib/labels';
import { type Matcher, matcherOf, matchersOf, matchersText, matcherText, parseMatchers } from '../lib/matchers';
import { useSettings } from '../lib/settings';
import { formatAgo, formatServerTime } from '../lib/time';
import { Icon } from '../shell/icon';
import { LabelPairs } from '../shell/parts';
import type { AmAlert } from './am-api';

// A list of matchers that grows by typing and shrinks by a click.
export function FilterBar({ matchers, onChange, label = 'Filter, for example severity="page"' }: { matchers: readonly Matcher[]; onChange: (matchers: Matcher[]) => void; label?: string }) {
  const [draft, setDraft] = useState('');
  const parsed = parseMatchers(draft);
  const commit = () => {
    if (!parsed || parsed.length === 0) return;
    onChange([...matchers, ...parsed]);
    setDraft('');
  };
  return (
    <div className="filter-bar">
      {matchers.map((matcher, i) => (
        <span key={i} className="filter-chip mono">
          {matcherText(matcher)}
          <ActionIcon size="xs" variant="transparent" color="gray" aria-label={`Remove ${matcherText(matcher)}`} onClick={() => onChange(matchers.toSpliced(i, 1))}>
            <Icon name="close" size={12} />
          </ActionIcon>
        </span>
      ))}
      <TextInput
        size="xs" className="filter-input" value={draft} placeholder={label} aria-label={label} error={draft !== '' && parsed === null}
        onChange={(event) => setDraft(event.currentTarget.value)} onKeyDown={(event) => event.key === 'Enter' && commit()} onBlur={commit}
      />
    </div>
  );
}

// Labels that become a filter when they are clicked.
export function FilterLabels({ labels, onAdd }: { labels: Labels; onAdd: (matcher: Matcher) => void }) {
  return (
    <span className="label-pairs">
      {Object.entries(labels).map(([name, value]) => (
        <button key={name} type="button" className="label-pair" title="Filter by it" onClick={() => onAdd(matcherOf(name, '=', value))}>
          <span className="label-name">{labelName(name)}</span>=<span className="label-value">{quote(value)}</span>
        </button>
      ))}
    </span>
  );
}

// Values that are links are links, but only to where a browser may safely go.
export function Annotations({ annotations }: { annotations: Labels }) {
  return (
    <dl className="annotations">
      {Object.entries(annotations).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="break pre-wrap">{isWebLink(value) ? <a href={value} target="_blank" rel="noreferrer noopener">{value}</a> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export const isWebLink = (text: string): boolean => /^https?:\/\/[^\s]+$/i.test(text);

export const silenceLink = (labels: Labels): string => hashHref('/silences/new', { filter: matchersText(matchersOf(labels)) });

// Alerts that a silence does or would hold back.
export function AffectedAlerts({ alerts }: { alerts: readonly AmAlert[] }) {
  const { useLocalTime } = useSettings();
  const now = Date.now();
  if (alerts.length === 0) return <div className="empty">No alert now.</div>;
  return (
    <table className="grid">
      <tbody>
        {alerts.slice(0, 200).map((alert) => (
          <tr key={alert.fingerprint}>
            <td>
              <LabelPairs labels={alert.labels} />
            </td>
            <td className="number col-since" title={formatServerTime(alert.startsAt, useLocalTime)}>{formatAgo(alert.startsAt, now)}</td>
            <td className="col-health">
              <span className={`badge badge-${alert.status.state}`}>{alert.status.state}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
