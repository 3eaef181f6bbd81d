// SPDX-License-Identifier: Apache-2.0
// A new silence, or a change of one. What it would hold back is shown before it is made.
import { ActionIcon, Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { formatDuration, parseDuration } from '../lib/duration';
import { hashHref, useHash } from '../lib/hash-router';
import { type Matcher, matcherOf, matchersText, OPERATORS, type Operator, operatorOf, parseMatchers } from '../lib/matchers';
import { plural } from '../lib/number';
import { recallCreator, rememberCreator, useSettings } from '../lib/settings';
import { formatTime, parseTime } from '../lib/time';
import { useLoad } from '../lib/use-api';
import { Icon } from '../shell/icon';
import { Busy, ErrorNotice } from '../shell/notice';
import { Page } from '../shell/parts';
import { type AmAlert, amGet, filterParams, saveSilence, type Silence, silenceMatchers } from './am-api';
import { AffectedAlerts } from './am-parts';

const DEFAULT_MS = 2 * 3_600_000;

interface Draft {
  id: string; // "": a new one
  start: string;
  end: string;
  matchers: Matcher[];
  creator: string;
  comment: string;
}

export default function SilenceForm({ id }: { id: string }) {
  const { params } = useHash();
  const { useLocalTime } = useSettings();
  const { answer, error } = useLoad(id, id === '' ? null : (signal) => amGet<Silence>(`silence/${encodeURIComponent(id)}`, {}, signal));
  if (error !== null) return <Page title="Edit silence"><ErrorNotice error={error} /></Page>;
  if (id !== '' && !answer) return <Busy />;
  const filter = params.get('filter') ?? '';
  const draft = answer ? draftOf(answer.data, useLocalTime) : newDraft(filter, params.get('comment') ?? '', useLocalTime);
  return <Form key={id + filter} draft={draft} local={useLocalTime} />;
}

const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000;

function newDraft(filter: string, comment: string, local: boolean): Draft {
  const now = wholeSecond(Date.now());
  const matchers = parseMatchers(filter) ?? [];
  return {
    id: '', start: formatTime(now, local), end: formatTime(now + DEFAULT_MS, local), creator: recallCreator(), comment,
    matchers: matchers.length > 0 ? matchers : [matcherOf('', '=', '')],
  };
}

// An expired silence cannot be changed: the form makes a new one like it, from now on and as long.
function draftOf(silence: Silence, local: boolean): Draft {
  const [start, end] = [Date.parse(silence.startsAt), Date.parse(silence.endsAt)];
  const expired = silence.status.state === 'expired';
  const from = expired ? wholeSecond(Date.now()) : wholeSecond(start);
  return {
    id: expired ? '' : silence.id, start: formatTime(from, local), end: formatTime(from + wholeSecond(end - start), local),
    matchers: silenceMatchers(silence), creator: silence.createdBy, comment: silence.comment,
  };
}

function faultsOf(draft: Draft, startMs: number | null, endMs: number | null): string[] {
  const faults: string[] = [];
  if (startMs === null) faults.push('The start is no time.');
  if (endMs === null) faults.push('The end is no time.');
  if (startMs !== null && endMs !== null && endMs <= startMs) faults.push('It ends before it starts.');
  if (draft.matchers.length === 0 || draft.matchers.some((matcher) => matcher.name === '')) faults.push('A matcher lacks its label.');
  if (draft.matchers.every(matchesEmpty)) faults.push('It would match every alert: one matcher has to need a value.');
  if (draft.creator.trim() === '') faults.push('Who creates it is missing.');
  if (draft.comment.trim() === '') faults.push('The comment is missing.');
  return faults;
}

// Whether a label that an alert lacks would pass. A regular expression is left to the server, which reads it its own way.
const matchesEmpty = (matcher: Matcher): boolean => (matcher.isRegex ? false : matcher.isEqual === (matcher.value === ''));

function Form({ draft: first, local }: { draft: Draft; local: boolean }) {
  const [draft, setDraft] = useState(first);
  const [preview, setPreview] = useState<Matcher[] | null>(null);
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const set = (patch: Partial<Draft>) => setDraft((old) => ({ ...old, ...patch }));
  const [startMs, endMs] = [parseTime(draft.start, local), parseTime(draft.end, local)];
  const faults = faultsOf(draft, startMs, endMs);
  const save = async () => {
    setTried(true);
    setError(null);
    if (faults.length > 0 || startMs === null || endMs === null) return;
    rememberCreator(draft.creator);
    try {
      const saved = await saveSilence({
        ...(draft.id ? { id: draft.id } : {}), matchers: draft.matchers, createdBy: draft.creator, comment: draft.comment,
        startsAt: new Date(startMs).toISOString(), endsAt: new Date(endMs).toISOString(),
      });
      window.location.hash = hashHref(`/silences/${saved}`);
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <Page title={draft.id ? 'Edit silence' : 'New silence'}>
      <form
        className="silence-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Times draft={draft} set={set} startMs={startMs} endMs={endMs} local={local} />
        <fieldset>
          <legend>Alerts where all of this holds</legend>
          {draft.matchers.map((matcher, i) => (
            <MatcherRow
              key={i} index={i + 1} matcher={matcher} onChange={(next) => set({ matchers: draft.matchers.with(i, next) })}
              onRemove={draft.matchers.length > 1 ? () => set({ matchers: draft.matchers.toSpliced(i, 1) }) : null}
            />
          ))}
          <Button size="compact-xs" variant="default" onClick={() => set({ matchers: [...draft.matchers, matcherOf('', '=', '')] })}>Add matcher</Button>
        </fieldset>
        <TextInput size="xs" label="Created by" value={draft.creator} onChange={(event) => set({ creator: event.currentTarget.value })} />
        <Textarea size="xs" label="Comment" rows={3} value={draft.comment} onChange={(event) => set({ comment: event.currentTarget.value })} />
        {tried && faults.length > 0 && <ErrorNotice error={new Error(faults.join('\n'))} />}
        {error !== null && <ErrorNotice error={error} />}
        <div className="admin-row">
          <Button size="xs" type="submit">{draft.id ? 'Save' : 'Create'}</Button>
          <Button size="xs" variant="default" onClick={() => setPreview(draft.matchers.filter((matcher) => matcher.name !== ''))}>Preview alerts</Button>
        </div>
      </form>
      {preview && <Preview matchers={preview} />}
    </Page>
  );
}

interface TimesProps {
  draft: Draft;
  set: (patch: Partial<Draft>) => void;
  startMs: number | null;
  endMs: number | null;
  local: boolean;
}

// Start, end and the time between: each follows the others.
function Times({ draft, set, startMs, endMs, local }: TimesProps) {
  const between = startMs !== null && endMs !== null && endMs > startMs ? formatDuration(endMs - startMs) : '';
  const [duration, setDuration] = useState<string | null>(null); // while it is typed
  const setLength = (text: string) => {
    setDuration(text);
    const ms = parseDuration(text);
    if (ms !== null && ms > 0 && startMs !== null) set({ end: formatTime(startMs + ms, local) });
  };
  return (
    <div className="admin-row">
      <TextInput size="xs" label={`Start${local ? '' : ' (UTC)'}`} value={draft.start} error={startMs === null} onChange={(event) => set({ start: event.currentTarget.value })} />
      <TextInput
        size="xs" label="Duration" value={duration ?? between} error={duration !== null && parseDuration(duration) === null}
        onChange={(event) => setLength(event.currentTarget.value)} onBlur={() => setDuration(null)}
      />
      <TextInput size="xs" label={`End${local ? '' : ' (UTC)'}`} value={draft.end} error={endMs === null} onChange={(event) => set({ end: event.currentTarget.value })} />
    </div>
  );
}

function MatcherRow({ index, matcher, onChange, onRemove }: { index: number; matcher: Matcher; onChange: (matcher: Matcher) => void; onRemove: (() => void) | null }) {
  const operator = operatorOf(matcher);
  return (
    <div className="matcher-row">
      <TextInput size="xs" aria-label={`Label ${index}`} placeholder="label" value={matcher.name} onChange={(event) => onChange(matcherOf(event.currentTarget.value, operator, matcher.value))} />
      <NativeSelect size="xs" w={70} aria-label={`Operator ${index}`} value={operator} data={[...OPERATORS]} onChange={(event) => onChange(matcherOf(matcher.name, event.currentTarget.value as Operator, matcher.value))} />
      <TextInput size="xs" aria-label={`Value ${index}`} placeholder="value" value={matcher.value} onChange={(event) => onChange(matcherOf(matcher.name, operator, event.currentTarget.value))} />
      {onRemove && (
        <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`Remove matcher ${index}`} onClick={onRemove}>
          <Icon name="close" size={14} />
        </ActionIcon>
      )}
    </div>
  );
}

function Preview({ matchers }: { matchers: readonly Matcher[] }) {
  const { answer, error, loading } = useLoad('preview ' + matchersText(matchers), (signal) => amGet<AmAlert[]>('alerts', filterParams(matchers), signal));
  if (error !== null) return <ErrorNotice error={error} />;
  if (!answer) return loading ? <Busy /> : null;
  return (
    <section className="block">
      <h2 className="above">{plural(answer.data.length, 'alert')} would be held back now</h2>
      <AffectedAlerts alerts={answer.data} />
    </section>
  );
}
