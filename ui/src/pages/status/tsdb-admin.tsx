// SPDX-License-Identifier: Apache-2.0
// Deleting series and cleaning up after it; the server offers both only with its admin API.
import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { apiAdmin } from '../../lib/api';
import { parseTime } from '../../lib/time';
import { useSettings } from '../../lib/settings';
import { useApi } from '../../lib/use-api';
import { ErrorNotice, Notice } from '../../shell/notice';

type Features = Record<string, Record<string, boolean>>;
type Outcome = { text: string } | { error: unknown } | null;

export function TsdbAdmin() {
  const features = useApi<Features>('features');
  const isOn = features.answer?.data['api']?.['admin'] === true;
  return (
    <div className="columns">
      {features.answer && !isOn && (
        <Notice kind="info">Deleting needs the admin API: start the server with --web.enable-admin-api.</Notice>
      )}
      <DeleteSeries isOn={isOn} />
      <CleanTombstones isOn={isOn} />
    </div>
  );
}

function DeleteSeries({ isOn }: { isOn: boolean }) {
  const { useLocalTime } = useSettings();
  const [match, setMatch] = useState('');
  const [start, setStart] = useState('');
  const [end, setEnd] = useState('');
  const [sure, setSure] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>(null);
  const times = [start, end].map((text) => (text.trim() === '' ? undefined : parseTime(text, useLocalTime)));
  const valid = match.trim() !== '' && times.every((ms) => ms !== null);
  const change = (set: (text: string) => void) => (event: { currentTarget: { value: string } }) => {
    set(event.currentTarget.value);
    setSure(false);
    setOutcome(null);
  };
  const run = async () => {
    const [from, to] = times.map((ms) => (ms == null ? undefined : ms / 1000));
    setSure(false);
    try {
      await apiAdmin('admin/tsdb/delete_series', { 'match[]': match, start: from, end: to });
      setOutcome({ text: 'Deleted. The samples are gone from answers now, and from the disk after a compaction or cleaning.' });
    } catch (error) {
      setOutcome({ error });
    }
  };
  return (
    <section className="block admin">
      <h2>Delete series</h2>
      <TextInput size="xs" label="Selector" placeholder='up{job="old"}' value={match} disabled={!isOn} onChange={change(setMatch)} />
      <div className="admin-row">
        <TextInput size="xs" label="From" placeholder="the beginning" value={start} disabled={!isOn} error={times[0] === null} onChange={change(setStart)} />
        <TextInput size="xs" label="To" placeholder="the end" value={end} disabled={!isOn} error={times[1] === null} onChange={change(setEnd)} />
      </div>
      {!sure && <Button size="xs" disabled={!isOn || !valid} onClick={() => setSure(true)}>Delete…</Button>}
      {sure && (
        <div className="admin-row">
          <Button size="xs" color="red" onClick={() => void run()}>Yes, delete the samples of {match}</Button>
          <Button size="xs" variant="default" onClick={() => setSure(false)}>Keep them</Button>
        </div>
      )}
      <OutcomeNotice outcome={outcome} />
    </section>
  );
}

function CleanTombstones({ isOn }: { isOn: boolean }) {
  const [outcome, setOutcome] = useState<Outcome>(null);
  const [running, setRunning] = useState(false);
  const run = async () => {
    setRunning(true);
    setOutcome(null);
    try {
      await apiAdmin('admin/tsdb/clean_tombstones', {});
      setOutcome({ text: 'Deleted samples were taken off the disk.' });
    } catch (error) {
      setOutcome({ error });
    }
    setRunning(false);
  };
  return (
    <section className="block admin">
      <h2>Clean tombstones</h2>
      <p>Writes anew the blocks that hold deleted samples, which frees their space.</p>
      <Button size="xs" disabled={!isOn} loading={running} onClick={() => void run()}>Clean</Button>
      <OutcomeNotice outcome={outcome} />
    </section>
  );
}

function OutcomeNotice({ outcome }: { outcome: Outcome }) {
  if (!outcome) return null;
  return 'error' in outcome ? <ErrorNotice error={outcome.error} /> : <Notice kind="info">{outcome.text}</Notice>;
}
