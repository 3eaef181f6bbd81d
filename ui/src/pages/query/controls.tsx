// SPDX-License-Identifier: Apache-2.0
// Inputs that take effect on Enter or when they lose the focus, and never with a text that makes no sense.
import { TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { formatDuration, nextRange, parseDuration } from '../../lib/duration';
import { useSettings } from '../../lib/settings';
import { formatTime, parseTime } from '../../lib/time';
import { IconButton } from '../../shell/icon-button';

interface CommitInputProps<T> {
  label: string;
  text: string; // of the value in effect
  parse: (text: string) => T | undefined; // undefined: makes no sense
  onCommit: (value: T) => void;
  placeholder?: string;
  width: number;
}

function CommitInput<T>({ label, text, parse, onCommit, placeholder, width }: CommitInputProps<T>) {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  const value = parse(draft);
  const commit = () => {
    if (value === undefined) setDraft(text);
    else if (draft !== text) onCommit(value);
  };
  return (
    <TextInput
      size="xs" w={width} aria-label={label} value={draft} error={value === undefined} placeholder={placeholder ?? ''}
      onChange={(event) => setDraft(event.currentTarget.value)} onBlur={commit}
      onKeyDown={(event) => event.key === 'Enter' && commit()}
    />
  );
}

// `ms` null is now.
export function TimeControl({ label, ms, stepMs, onChange }: { label: string; ms: number | null; stepMs: number; onChange: (ms: number | null) => void }) {
  const { useLocalTime } = useSettings();
  const move = (direction: number) => onChange(Math.round(((ms ?? Date.now()) + direction * stepMs) / 1000) * 1000);
  return (
    <div className="control">
      <IconButton bordered icon="left" label={`${label}: earlier`} onClick={() => move(-1)} />
      <CommitInput<number | null>
        label={label} width={168} placeholder={label} text={ms === null ? '' : formatTime(ms, useLocalTime)}
        parse={(text) => (text.trim() === '' ? null : (parseTime(text, useLocalTime) ?? undefined))} onCommit={onChange}
      />
      <IconButton bordered icon="right" label={`${label}: later`} onClick={() => move(1)} />
      {ms !== null && <IconButton bordered icon="close" label={`${label}: now`} onClick={() => onChange(null)} />}
    </div>
  );
}

export function RangeControl({ ms, onChange }: { ms: number; onChange: (ms: number) => void }) {
  return (
    <div className="control">
      <IconButton bordered icon="minus" label="Shorter range" onClick={() => onChange(nextRange(ms, -1))} />
      <DurationInput label="Range" ms={ms} width={76} onChange={onChange} />
      <IconButton bordered icon="plus" label="Longer range" onClick={() => onChange(nextRange(ms, 1))} />
    </div>
  );
}

export function DurationInput({ label, ms, width, onChange }: { label: string; ms: number; width: number; onChange: (ms: number) => void }) {
  return (
    <CommitInput<number>
      label={label} width={width} text={formatDuration(ms)}
      parse={(text) => {
        const parsed = parseDuration(text);
        return parsed === null || parsed <= 0 ? undefined : parsed;
      }}
      onCommit={onChange}
    />
  );
}
