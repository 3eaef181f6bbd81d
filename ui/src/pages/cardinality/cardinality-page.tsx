// SPDX-License-Identifier: Apache-2.0
// Where the series come from: by metric, label, label value, job and target; how many are new; what could go.
import { Tabs } from '@mantine/core';
import { useMemo } from 'react';
import { apiPost, type NameValue, type QueryData, type TsdbStatus, type VectorItem } from '../../lib/api';
import { matchesSearch } from '../../lib/labels';
import { formatBytes, formatCount } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useApi, useLoad } from '../../lib/use-api';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Page, ReloadButton, SearchInput, useLimit } from '../../shell/parts';
import { Growth } from './growth';
import { MetricDetail } from './metric-detail';
import { share } from './savings';

const LIMIT = 1000;
const ROWS_FIRST = 50;

const TABS = [
  { value: 'metrics', label: 'Metrics' },
  { value: 'labels', label: 'Labels' },
  { value: 'pairs', label: 'Label values' },
  { value: 'jobs', label: 'Jobs' },
  { value: 'targets', label: 'Targets' },
] as const;

export default function CardinalityPage() {
  const params = new URLSearchParams(useSearch());
  const tab = TABS.find(({ value }) => value === params.get('by'))?.value ?? 'metrics';
  const search = params.get('search') ?? '';
  const metric = params.get('metric');
  const { answer, error, loading, reload } = useApi<TsdbStatus>('status/tsdb', { limit: LIMIT });
  const data = answer?.data;
  const total = data?.headStats.numSeries ?? 0;
  return (
    <Page
      title="Cardinality"
      tools={
        <>
          <SearchInput value={search} onChange={(value) => setSearchParam('search', value || null)} placeholder="Filter by name" />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {data && (
        <>
          <p>
            <strong className="number">{formatCount(total)}</strong> series in the head, <strong className="number">{formatCount(data.headStats.numLabelPairs)}</strong> pairs of
            label and value, <strong className="number">{formatCount(data.headStats.chunkCount)}</strong> chunks.
          </p>
          <Growth expr="prometheus_tsdb_head_series" title="Series in the head over the last day" />
          {metric !== null && <MetricDetail key={metric} metric={metric} total={total} onClose={() => setSearchParam('metric', null)} />}
          <Tabs value={tab} onChange={(value) => setSearchParam('by', value === 'metrics' ? null : value)} keepMounted={false}>
            <Tabs.List>
              {TABS.map(({ value, label }) => (
                <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>
              ))}
            </Tabs.List>
            <Tabs.Panel value="metrics">
              <Ranking rows={data.seriesCountByMetricName} total={total} title="Metric" search={search} onOpen={(name) => setSearchParam('metric', name)} />
            </Tabs.Panel>
            <Tabs.Panel value="labels">
              <Labels data={data} search={search} />
            </Tabs.Panel>
            <Tabs.Panel value="pairs">
              <Ranking rows={data.seriesCountByLabelValuePair} total={total} title="Label and value" search={search} />
            </Tabs.Panel>
            <Tabs.Panel value="jobs">
              <Scraped by={['job']} search={search} />
            </Tabs.Panel>
            <Tabs.Panel value="targets">
              <Scraped by={['job', 'instance']} search={search} />
            </Tabs.Panel>
          </Tabs>
        </>
      )}
    </Page>
  );
}

interface RankingProps {
  rows: NameValue[] | null;
  total: number;
  title: string;
  search: string;
  onOpen?: (name: string) => void;
}

function Ranking({ rows, total, title, search, onOpen }: RankingProps) {
  const kept = useMemo(() => (rows ?? []).filter((row) => matchesSearch(row.name, search)), [rows, search]);
  const { shown, more } = useLimit(kept.length, ROWS_FIRST, LIMIT);
  const largest = kept[0]?.value ?? 1;
  return (
    <>
      <table className="grid">
        <thead>
          <tr>
            <th>{title}</th>
            <th className="right">Series</th>
            <th className="right">Share</th>
            <th className="bar-cell" aria-hidden="true" />
          </tr>
        </thead>
        <tbody>
          {kept.slice(0, shown).map((row) => (
            <tr key={row.name}>
              <td className="mono break">{onOpen ? <button type="button" className="as-link mono break" onClick={() => onOpen(row.name)}>{row.name}</button> : row.name}</td>
              <td className="right number">{formatCount(row.value)}</td>
              <td className="right number">{share(row.value, total)}</td>
              <td className="bar-cell" aria-hidden="true">
                <div className="bar" style={{ width: `${(100 * row.value) / largest}%` }} />
              </td>
            </tr>
          ))}
          {kept.length === 0 && <NothingRow columns={4} />}
        </tbody>
      </table>
      {more}
    </>
  );
}

function NothingRow({ columns }: { columns: number }) {
  return (
    <tr>
      <td colSpan={columns} className="dim">
        Nothing
      </td>
    </tr>
  );
}

function Labels({ data, search }: { data: TsdbStatus; search: string }) {
  const bytes = new Map((data.memoryInBytesByLabelName ?? []).map((row) => [row.name, row.value]));
  const rows = (data.labelValueCountByLabelName ?? []).filter((row) => matchesSearch(row.name, search));
  const { shown, more } = useLimit(rows.length, ROWS_FIRST, LIMIT);
  return (
    <>
      <table className="grid">
        <thead>
          <tr>
            <th>Label</th>
            <th className="right">Values</th>
            <th className="right">Bytes of its values</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((row) => (
            <tr key={row.name}>
              <td className="mono break">{row.name}</td>
              <td className="right number">{formatCount(row.value)}</td>
              <td className="right number">{bytes.has(row.name) ? formatBytes(bytes.get(row.name) ?? 0) : '–'}</td>
            </tr>
          ))}
          {rows.length === 0 && <NothingRow columns={3} />}
        </tbody>
      </table>
      {more}
    </>
  );
}

// What scrapes bring, by the series that the server writes about each scrape.
const SCRAPED: readonly [title: string, metric: (by: string) => string][] = [
  ['Samples of a scrape', (by) => `sum by (${by}) (scrape_samples_scraped)`],
  ['After relabelling', (by) => `sum by (${by}) (scrape_samples_post_metric_relabeling)`],
  ['New series in an hour', (by) => `sum by (${by}) (sum_over_time(scrape_series_added[1h]))`],
];

function Scraped({ by, search }: { by: readonly string[]; search: string }) {
  const load = async (signal: AbortSignal) => {
    const answers = await Promise.all(SCRAPED.map(([, expr]) => apiPost<QueryData>('query', { query: expr(by.join(', ')), limit: LIMIT }, signal)));
    const rows = new Map<string, { labels: VectorItem['metric']; values: number[] }>();
    answers.forEach(({ data }, column) => {
      if (data.resultType !== 'vector') return;
      for (const item of data.result) {
        const key = JSON.stringify(by.map((name) => item.metric[name] ?? ''));
        let row = rows.get(key);
        if (!row) rows.set(key, (row = { labels: item.metric, values: SCRAPED.map(() => 0) }));
        row.values[column] = Number(item.value?.[1] ?? 0);
      }
    });
    const sorted = [...rows.values()].toSorted((a, b) => (b.values[1] ?? 0) - (a.values[1] ?? 0));
    return { data: sorted, warnings: [], infos: [], tookMs: 0 };
  };
  const { answer, error, loading } = useLoad('scraped ' + by.join(), load);
  const rows = (answer?.data ?? []).filter((row) => matchesSearch(Object.values(row.labels).join(' '), search));
  const { shown, more } = useLimit(rows.length, ROWS_FIRST, LIMIT);
  if (error !== null) return <ErrorNotice error={error} />;
  if (!answer) return loading ? <Busy /> : null;
  return (
    <>
      <table className="grid">
        <thead>
          <tr>
            {by.map((name) => (
              <th key={name}>{name}</th>
            ))}
            {SCRAPED.map(([title]) => (
              <th key={title} className="right">{title}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((row, i) => (
            <tr key={i}>
              {by.map((name) => (
                <td key={name} className="mono break">{row.labels[name]}</td>
              ))}
              {row.values.map((value, column) => (
                <td key={column} className="right number">{formatCount(value)}</td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && <NothingRow columns={by.length + SCRAPED.length} />}
        </tbody>
      </table>
      {more}
    </>
  );
}
