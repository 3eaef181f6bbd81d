// SPDX-License-Identifier: Apache-2.0
import { Button, Tabs } from '@mantine/core';
import { useState } from 'react';
import { hashHref, setHashParams, useHash } from '../lib/hash-router';
import { matchersText, matcherText, parseMatchers } from '../lib/matchers';
import { useSettings } from '../lib/settings';
import { formatServerTime } from '../lib/time';
import { useLoad } from '../lib/use-api';
import { Busy, ErrorNotice } from '../shell/notice';
import { Page, ReloadButton, useLimit } from '../shell/parts';
import { amGet, expireSilence, filterParams, type Silence, silenceMatchers, type SilenceState } from './am-api';
import { FilterBar } from './am-parts';

const STATES: readonly SilenceState[] = ['active', 'pending', 'expired'];

export default function SilencesPage() {
  const { params } = useHash();
  const matchers = parseMatchers(params.get('filter') ?? '') ?? [];
  const state = STATES.find((one) => one === params.get('state')) ?? 'active';
  const query = filterParams(matchers);
  const { answer, error, loading, reload } = useLoad(JSON.stringify(query), (signal) => amGet<Silence[]>('silences', query, signal));
  const of = (wanted: SilenceState) => (answer?.data ?? []).filter((silence) => silence.status.state === wanted);
  return (
    <Page
      title="Silences"
      tools={
        <>
          <Button size="xs" component="a" href={hashHref('/silences/new')}>New silence</Button>
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      <FilterBar matchers={matchers} onChange={(next) => setHashParams({ filter: next.length > 0 ? matchersText(next) : null })} />
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && (
        <Tabs value={state} onChange={(value) => setHashParams({ state: value === 'active' ? null : value })} keepMounted={false}>
          <Tabs.List>
            {STATES.map((one) => (
              <Tabs.Tab key={one} value={one}>{`${one[0]?.toUpperCase()}${one.slice(1)} (${of(one).length})`}</Tabs.Tab>
            ))}
          </Tabs.List>
          {STATES.map((one) => (
            <Tabs.Panel key={one} value={one}>
              <SilenceList silences={of(one)} onChanged={reload} />
            </Tabs.Panel>
          ))}
        </Tabs>
      )}
    </Page>
  );
}

function SilenceList({ silences, onChanged }: { silences: readonly Silence[]; onChanged: () => void }) {
  const { useLocalTime } = useSettings();
  const { shown, more } = useLimit(silences.length, 100, 5000);
  if (silences.length === 0) return <div className="empty">None.</div>;
  return (
    <>
      <table className="grid">
        <thead>
          <tr>
            <th>Matchers</th>
            <th>Comment</th>
            <th>Created by</th>
            <th>Ends</th>
            <th className="right">Change</th>
          </tr>
        </thead>
        <tbody>
          {silences.slice(0, shown).map((silence) => (
            <tr key={silence.id} data-silence={silence.id}>
              <td>
                <a href={hashHref(`/silences/${silence.id}`)} className="mono break">{silenceMatchers(silence).map(matcherText).join(', ')}</a>
              </td>
              <td className="break">{silence.comment}</td>
              <td className="break">{silence.createdBy}</td>
              <td className="number">{formatServerTime(silence.endsAt, useLocalTime)}</td>
              <td>
                <SilenceTools silence={silence} onChanged={onChanged} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {more}
    </>
  );
}

export function SilenceTools({ silence, onChanged }: { silence: Silence; onChanged: () => void }) {
  const [sure, setSure] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const expire = () => {
    setSure(false);
    expireSilence(silence.id).then(onChanged, setError);
  };
  const expired = silence.status.state === 'expired';
  return (
    <div className="silence-tools">
      <Button size="compact-xs" variant="default" component="a" href={hashHref(`/silences/${silence.id}/edit`)}>{expired ? 'Recreate' : 'Edit'}</Button>
      {!expired && !sure && <Button size="compact-xs" variant="default" onClick={() => setSure(true)}>Expire</Button>}
      {!expired && sure && <Button size="compact-xs" color="red" onClick={expire}>Yes, expire it</Button>}
      {error !== null && <ErrorNotice error={error} />}
    </div>
  );
}
