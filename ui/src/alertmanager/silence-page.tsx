// SPDX-License-Identifier: Apache-2.0
import { matchersText } from '../lib/matchers';
import { useSettings } from '../lib/settings';
import { formatServerTime } from '../lib/time';
import { useLoad } from '../lib/use-api';
import { Busy, ErrorNotice } from '../shell/notice';
import { KeyValueTable, Page } from '../shell/parts';
import { type AmAlert, amGet, filterParams, type Silence, silenceMatchers } from './am-api';
import { AffectedAlerts, Annotations } from './am-parts';
import { SilenceTools } from './silences-page';

export default function SilencePage({ id }: { id: string }) {
  const { useLocalTime } = useSettings();
  const { answer, error, reload } = useLoad(id, (signal) => amGet<Silence>(`silence/${encodeURIComponent(id)}`, {}, signal));
  const silence = answer?.data;
  const matchers = silence ? silenceMatchers(silence) : [];
  const affected = useLoad(matchersText(matchers), silence ? (signal) => amGet<AmAlert[]>('alerts', filterParams(matchers), signal) : null);
  return (
    <Page title="Silence" tools={silence && <SilenceTools silence={silence} onChanged={reload} />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!silence && error === null && <Busy />}
      {silence && (
        <>
          <KeyValueTable
            rows={[
              ['Identifier', <span className="mono">{silence.id}</span>],
              ['State', silence.status.state],
              ['Matchers', <span className="mono break">{matchersText(matchers)}</span>],
              ['Comment', silence.comment],
              ['Created by', silence.createdBy],
              ['Starts', formatServerTime(silence.startsAt, useLocalTime)],
              ['Ends', formatServerTime(silence.endsAt, useLocalTime)],
              ['Last changed', formatServerTime(silence.updatedAt, useLocalTime)],
            ]}
          />
          {silence.annotations && <Annotations annotations={silence.annotations} />}
          <h2 className="above">Alerts that it matches</h2>
          {affected.error !== null && <ErrorNotice error={affected.error} />}
          {affected.answer && <AffectedAlerts alerts={affected.answer.data} />}
        </>
      )}
    </Page>
  );
}
