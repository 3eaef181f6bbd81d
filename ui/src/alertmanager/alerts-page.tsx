// SPDX-License-Identifier: Apache-2.0
import { Button, NativeSelect, Switch, TextInput } from '@mantine/core';
import { memo, useMemo, useState } from 'react';
import { hashHref, setHashParams, useHash } from '../lib/hash-router';
import { type Matcher, matchersOf, matchersText, parseMatchers } from '../lib/matchers';
import { formatCount, plural } from '../lib/number';
import { useSettings } from '../lib/settings';
import { formatAgo, formatServerTime } from '../lib/time';
import { useLoad, useWhileVisible } from '../lib/use-api';
import { Busy, ErrorNotice } from '../shell/notice';
import { Fold, LabelPairs, Page, ReloadButton, useLimit } from '../shell/parts';
import { groupsBy, serverGroups, type ShownGroup } from './alert-groups';
import { type AmAlert, amGet, type AmGroup, filterParams } from './am-api';
import { Annotations, FilterBar, FilterLabels, isWebLink, silenceLink } from './am-parts';

const RELOAD_MS = 15_000;
const ALERTS_FIRST = 50;
const ALERTS_MAX = 5000;
const SWITCHES = [['active', 'Active'], ['silenced', 'Silenced'], ['inhibited', 'Inhibited'], ['muted', 'Muted']] as const;

export default function AlertsPage() {
  const { params } = useHash();
  const matchers = parseMatchers(params.get('filter') ?? '') ?? [];
  const receiver = params.get('receiver') ?? '';
  // As in links: active alerts are shown unless switched off, the others only when switched on.
  const wanted = SWITCHES.map(([name]) => [name, params.get(name) === null ? name === 'active' : params.get(name) === 'true'] as const);
  const custom = params.get('customGrouping') === 'true';
  const groupBy = (params.get('group') ?? '').split(',').map((name) => name.trim()).filter(Boolean);
  const query = {
    ...filterParams(matchers),
    ...Object.fromEntries(wanted.map(([name, on]) => [name, String(on)])),
    ...(receiver ? { receiver: `^(?:${receiver.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')})$` } : {}),
  };
  const { answer, error, loading, reload } = useLoad(JSON.stringify(query), (signal) => amGet<AmGroup[]>('alerts/groups', query, signal));
  const receivers = useLoad('receivers', (signal) => amGet<{ name: string }[]>('receivers', {}, signal));
  useWhileVisible(reload, RELOAD_MS);
  const groups = useMemo(() => (answer ? (custom ? groupsBy(answer.data, groupBy) : serverGroups(answer.data)) : []), [answer, custom, groupBy.join()]);
  const add = (matcher: Matcher) => setFilter([...matchers, matcher]);
  return (
    <Page
      title="Alerts"
      tools={
        <>
          {SWITCHES.map(([name, label], i) => (
            <Switch key={name} size="xs" label={label} checked={wanted[i]?.[1] ?? false} onChange={(event) => setHashParams({ [name]: String(event.currentTarget.checked) })} />
          ))}
          <NativeSelect
            size="xs" aria-label="Receiver" value={receiver} onChange={(event) => setHashParams({ receiver: event.currentTarget.value || null })}
            data={[{ value: '', label: 'All receivers' }, ...(receivers.answer?.data ?? []).map(({ name }) => ({ value: name, label: name }))]}
          />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      <div className="filter-line">
        <FilterBar matchers={matchers} onChange={setFilter} />
        <Switch size="xs" label="Group by" checked={custom} onChange={(event) => setHashParams({ customGrouping: event.currentTarget.checked ? 'true' : null })} />
        {custom && (
          <TextInput size="xs" aria-label="Labels to group by" placeholder="alertname, job" defaultValue={groupBy.join(', ')} onChange={(event) => setHashParams({ group: event.currentTarget.value || null })} />
        )}
        {matchers.length > 0 && <a href={hashHref('/silences/new', { filter: matchersText(matchers) })}>Silence these</a>}
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && groups.length === 0 && <div className="empty">No alerts{matchers.length > 0 ? ' that match' : ''}.</div>}
      {groups.map((group) => (
        <GroupView key={group.key} group={group} startOpen={groups.length <= 10} onAdd={add} />
      ))}
    </Page>
  );
}

const setFilter = (matchers: readonly Matcher[]) => setHashParams({ filter: matchers.length > 0 ? matchersText(matchers) : null });

function GroupView({ group, startOpen, onAdd }: { group: ShownGroup; startOpen: boolean; onAdd: (matcher: Matcher) => void }) {
  const [open, setOpen] = useState(startOpen);
  const { shown, more } = useLimit(group.alerts.length, ALERTS_FIRST, ALERTS_MAX);
  return (
    <Fold
      open={open}
      onToggle={() => setOpen(!open)}
      head={
        <>
          {Object.keys(group.labels).length > 0 ? <LabelPairs labels={group.labels} /> : <span className="dim">not grouped</span>}
          <span className="tally">{plural(group.alerts.length, 'alert')}</span>
          <span className="dim fold-facts">{group.receivers.join(', ')}</span>
        </>
      }
    >
      <div className="rules">
        {group.alerts.slice(0, shown).map((alert) => (
          <AlertView key={alert.fingerprint} alert={alert} onAdd={onAdd} />
        ))}
      </div>
      {more}
    </Fold>
  );
}

const AlertView = memo(function AlertView({ alert, onAdd }: { alert: AmAlert; onAdd: (matcher: Matcher) => void }) {
  const { useLocalTime } = useSettings();
  const { state, silencedBy, inhibitedBy, mutedBy = [] } = alert.status;
  return (
    <article className="am-alert" data-alert={alert.fingerprint}>
      <div className="am-alert-head">
        <span className={`badge badge-${state}`}>{state}</span>
        <span className="number dim" title={formatServerTime(alert.startsAt, useLocalTime)}>{formatAgo(alert.startsAt, Date.now())}</span>
        <span className="am-links">
          {alert.generatorURL && isWebLink(alert.generatorURL) && <a href={alert.generatorURL} target="_blank" rel="noreferrer noopener">Source</a>}
          <a href={silenceLink(alert.labels)}>Silence</a>
          <a href={hashHref('/routing', { labels: matchersText(matchersOf(alert.labels)) })}>Why?</a>
          <a href={hashHref('/alerts', { filter: matchersText(matchersOf(alert.labels)), silenced: 'true', inhibited: 'true', muted: 'true', active: 'true' })}>Link</a>
        </span>
      </div>
      <Annotations annotations={alert.annotations} />
      <FilterLabels labels={alert.labels} onAdd={onAdd} />
      {silencedBy.length > 0 && (
        <div className="dim">
          Silenced by{' '}
          {silencedBy.map((id) => (
            <a key={id} href={hashHref(`/silences/${id}`)} className="mono">{id}</a>
          ))}
        </div>
      )}
      {inhibitedBy.length > 0 && <Inhibitors fingerprints={inhibitedBy} />}
      {mutedBy.length > 0 && <div className="dim">Muted by the time intervals {mutedBy.join(', ')}</div>}
    </article>
  );
});

// Which alerts hold this one back, asked for when somebody wants to know.
function Inhibitors({ fingerprints }: { fingerprints: readonly string[] }) {
  const [open, setOpen] = useState(false);
  const { answer } = useLoad(`${open}`, open ? (signal) => amGet<AmAlert[]>('alerts', { silenced: 'true', inhibited: 'true', active: 'true', unprocessed: 'true' }, signal) : null);
  const found = (answer?.data ?? []).filter((alert) => fingerprints.includes(alert.fingerprint));
  return (
    <div className="dim">
      Inhibited by {plural(fingerprints.length, 'alert')}{' '}
      <Button size="compact-xs" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? 'Hide' : 'Show'}
      </Button>
      {open && found.map((alert) => <div key={alert.fingerprint}><LabelPairs labels={alert.labels} /></div>)}
      {open && answer && found.length < fingerprints.length && <div>{formatCount(fingerprints.length - found.length)} of them are gone by now.</div>}
    </div>
  );
}
