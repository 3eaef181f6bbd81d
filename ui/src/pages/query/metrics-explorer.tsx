// SPDX-License-Identifier: Apache-2.0
// All metrics with what they mean; one of them opened shows its labels and their values.
import { ActionIcon, Button, Modal, Tooltip } from '@mantine/core';
import { useDeferredValue, useMemo, useState } from 'react';
import { type Answer, apiPost, type Metadata, type QueryData } from '../../lib/api';
import { labelName, matchesSearch, quote } from '../../lib/labels';
import { formatCount, plural } from '../../lib/number';
import { useApi, useLoad } from '../../lib/use-api';
import { Icon } from '../../shell/icon';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Fold, SearchInput, useLimit } from '../../shell/parts';

const ROWS_FIRST = 200;
const ROWS_MAX = 5000;
const VALUES_FIRST = 30;
const SERIES_MAX = 20_000;

interface ExplorerProps {
  onClose: () => void;
  onInsert: (text: string) => void;
}

export default function MetricsExplorer({ onClose, onInsert }: ExplorerProps) {
  const [metric, setMetric] = useState<string | null>(null);
  return (
    <Modal opened onClose={onClose} size="min(1100px, 95vw)" title={metric === null ? 'Metrics' : <MetricTitle metric={metric} onBack={() => setMetric(null)} />} closeButtonProps={{ 'aria-label': 'Close' }}>
      {metric === null ? <MetricList onOpen={setMetric} onInsert={onInsert} /> : <MetricLabels metric={metric} onInsert={onInsert} />}
    </Modal>
  );
}

function MetricTitle({ metric, onBack }: { metric: string; onBack: () => void }) {
  return (
    <span className="explorer-title">
      <Button size="compact-xs" variant="default" leftSection={<Icon name="left" size={12} />} onClick={onBack}>
        All metrics
      </Button>
      <span className="mono break">{metric}</span>
    </span>
  );
}

function MetricList({ onOpen, onInsert }: { onOpen: (metric: string) => void; onInsert: (text: string) => void }) {
  const names = useApi<string[]>('label/__name__/values');
  const metadata = useApi<Record<string, Metadata[]>>('metadata', { limit_per_metric: 1 });
  const [search, setSearch] = useState('');
  const wanted = useDeferredValue(search);
  const facts = metadata.answer?.data;
  const found = useMemo(
    () => (names.answer?.data ?? []).filter((name) => matchesSearch(`${name} ${factsOf(facts, name)?.help ?? ''}`, wanted)),
    [names.answer, facts, wanted],
  );
  const { shown, more } = useLimit(found.length, ROWS_FIRST, ROWS_MAX);
  if (names.error !== null) return <ErrorNotice error={names.error} retry={names.reload} />;
  if (!names.answer) return <Busy />;
  return (
    <>
      <div className="explorer-head">
        <SearchInput value={search} onChange={setSearch} placeholder="Words of a name or its help" />
        <span className="dim">{plural(found.length, 'metric')}</span>
      </div>
      <table className="grid">
        <thead>
          <tr>
            <th>Metric</th>
            <th>Type</th>
            <th>Help</th>
            <th aria-label="Tools" />
          </tr>
        </thead>
        <tbody>
          {found.slice(0, shown).map((name) => {
            const row = factsOf(facts, name);
            return (
              <tr key={name}>
                <td>
                  <button type="button" className="as-link mono break" onClick={() => onOpen(name)}>{name}</button>
                </td>
                <td>{row?.type}</td>
                <td>{row?.help}</td>
                <td><InsertButton label={`Insert ${name}`} onClick={() => onInsert(selector(name))} /></td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {more}
    </>
  );
}

const selector = (metric: string): string => (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric) ? metric : `{${quote(metric)}}`);

// The parts of a histogram or summary are described under its base name.
function factsOf(all: Record<string, Metadata[]> | undefined, name: string): Metadata | undefined {
  if (!all) return undefined;
  return all[name]?.[0] ?? all[name.replace(/_(bucket|count|sum|total|created)$/, '')]?.[0];
}

function InsertButton({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Tooltip label="Insert into the query" openDelay={400}>
      <ActionIcon variant="subtle" color="gray" size="sm" aria-label={label} onClick={onClick}>
        <Icon name="plus" size={14} />
      </ActionIcon>
    </Tooltip>
  );
}

interface LabelFacts {
  name: string;
  values: [string, number][]; // value and how many series have it
}

function MetricLabels({ metric, onInsert }: { metric: string; onInsert: (text: string) => void }) {
  const load = async (signal: AbortSignal): Promise<Answer<{ count: number; labels: LabelFacts[] }>> => {
    const answer = await apiPost<QueryData>('query', { query: selector(metric), limit: SERIES_MAX }, signal);
    const result = answer.data.resultType === 'vector' ? answer.data.result : [];
    const byName = new Map<string, Map<string, number>>();
    for (const item of result)
      for (const [name, value] of Object.entries(item.metric)) {
        if (name === '__name__') continue;
        const values = byName.get(name) ?? new Map<string, number>();
        byName.set(name, values.set(value, (values.get(value) ?? 0) + 1));
      }
    const labels = [...byName].map(([name, values]) => ({ name, values: [...values].toSorted((a, b) => b[1] - a[1]) }));
    return { ...answer, data: { count: result.length, labels: labels.toSorted((a, b) => b.values.length - a.values.length) } };
  };
  const { answer, error, loading } = useLoad('labels of ' + metric, load);
  if (error !== null) return <ErrorNotice error={error} />;
  if (!answer) return loading ? <Busy /> : null;
  return (
    <>
      <div className="explorer-head">
        <span className="dim">
          {answer.data.count >= SERIES_MAX ? `The first ${formatCount(SERIES_MAX)} series` : plural(answer.data.count, 'series', 'series')}, {plural(answer.data.labels.length, 'label')}
        </span>
        <Button size="compact-xs" variant="default" onClick={() => onInsert(selector(metric))}>Insert the metric</Button>
      </div>
      {answer.data.labels.map((label) => (
        <LabelValues key={label.name} metric={metric} label={label} onInsert={onInsert} />
      ))}
      {answer.data.labels.length === 0 && <div className="empty">No series now, or series without labels.</div>}
    </>
  );
}

function LabelValues({ metric, label, onInsert }: { metric: string; label: LabelFacts; onInsert: (text: string) => void }) {
  const [open, setOpen] = useState(label.values.length <= 5);
  const { shown, more } = useLimit(label.values.length, VALUES_FIRST, ROWS_MAX);
  const name = labelName(label.name);
  const text = (value: string) => {
    const matcher = `${name}=${quote(value)}`;
    const base = selector(metric);
    return base.startsWith('{') ? `${base.slice(0, -1)}, ${matcher}}` : `${base}{${matcher}}`;
  };
  return (
    <Fold
      open={open} onToggle={() => setOpen(!open)}
      head={
        <>
          <span className="label-name mono">{name}</span> <span className="tally">{plural(label.values.length, 'value')}</span>
        </>
      }
    >
      <table className="grid label-values">
        <tbody>
          {label.values.slice(0, shown).map(([value, count]) => (
            <tr key={value}>
              <td className="mono break">{quote(value)}</td>
              <td className="number right">{plural(count, 'series', 'series')}</td>
              <td className="right"><InsertButton label={`Insert ${name}=${quote(value)}`} onClick={() => onInsert(text(value))} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {more}
    </Fold>
  );
}
