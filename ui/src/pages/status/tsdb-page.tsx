// SPDX-License-Identifier: Apache-2.0
import type { BlockMeta, NameValue, TsdbStatus } from '../../lib/api';
import { formatBytes, formatCount } from '../../lib/number';
import { useApi } from '../../lib/use-api';
import { useSettings } from '../../lib/settings';
import { formatTime } from '../../lib/time';
import { Busy, ErrorNotice } from '../../shell/notice';
import { KeyValueTable, Page, ReloadButton, useLimit } from '../../shell/parts';
import { TsdbAdmin } from './tsdb-admin';

const TOP: readonly [keyof TsdbStatus, string, string, (value: number) => string][] = [
  ['seriesCountByMetricName', 'Metrics with the most series', 'Metric', formatCount],
  ['labelValueCountByLabelName', 'Labels with the most values', 'Label', formatCount],
  ['seriesCountByLabelValuePair', 'Label pairs with the most series', 'Label pair', formatCount],
  ['memoryInBytesByLabelName', 'Labels with the most bytes', 'Label', formatBytes],
];

export default function TsdbPage() {
  const { answer, error, loading, reload } = useApi<TsdbStatus>('status/tsdb');
  const { useLocalTime } = useSettings();
  const head = answer?.data.headStats;
  // An empty head has the largest and smallest integer as its times.
  const time = (ms: number) =>
    Math.abs(ms) > 8e15 ? 'no samples' : `${formatTime(ms, useLocalTime)}${useLocalTime ? '' : ' UTC'} (${ms})`;
  return (
    <Page title="TSDB status" tools={<ReloadButton onClick={reload} loading={loading && answer !== null} />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {head && (
        <section className="block">
          <h2>Head</h2>
          <KeyValueTable
            rows={[
              ['Series', formatCount(head.numSeries)],
              ['Chunks', formatCount(head.chunkCount)],
              ['Label pairs', formatCount(head.numLabelPairs)],
              ['Oldest sample', time(head.minTime)],
              ['Newest sample', time(head.maxTime)],
            ]}
          />
        </section>
      )}
      <Blocks />
      {answer && (
        <div className="columns">
          {TOP.map(([key, title, nameTitle, format]) => (
            <TopTable key={key} title={title} nameTitle={nameTitle} format={format} rows={answer.data[key] as NameValue[] | null} />
          ))}
        </div>
      )}
      <TsdbAdmin />
    </Page>
  );
}

const BLOCKS_FIRST = 20;

function Blocks() {
  const { answer, error } = useApi<{ blocks: BlockMeta[] }>('status/tsdb/blocks');
  const { useLocalTime } = useSettings();
  const blocks = (answer?.data.blocks ?? []).toSorted((a, b) => b.minTime - a.minTime);
  const { shown, more } = useLimit(blocks.length, BLOCKS_FIRST, 5000);
  if (error !== null) return <ErrorNotice error={error} />;
  return (
    <section className="block">
      <h2>Blocks</h2>
      <table className="grid">
        <thead>
          <tr>
            <th>Block</th>
            <th>From</th>
            <th>To</th>
            <th className="right">Series</th>
            <th className="right">Samples</th>
            <th className="right">Chunks</th>
            <th className="right">Level</th>
          </tr>
        </thead>
        <tbody>
          {blocks.slice(0, shown).map(({ ulid, minTime, maxTime, stats, compaction }) => (
            <tr key={ulid}>
              <td className="mono">{ulid}</td>
              <td className="number">{formatTime(minTime, useLocalTime)}</td>
              <td className="number">{formatTime(maxTime, useLocalTime)}</td>
              <td className="right number">{formatCount(stats.numSeries ?? 0)}</td>
              <td className="right number">{formatCount(stats.numSamples ?? 0)}</td>
              <td className="right number">{formatCount(stats.numChunks ?? 0)}</td>
              <td className="right number">{compaction.level}</td>
            </tr>
          ))}
          {answer && blocks.length === 0 && (
            <tr>
              <td colSpan={7} className="dim">
                None yet: the first is written when the head spans three hours.
              </td>
            </tr>
          )}
        </tbody>
      </table>
      {more}
    </section>
  );
}

interface TopTableProps {
  title: string;
  nameTitle: string;
  format: (value: number) => string;
  rows: NameValue[] | null;
}

function TopTable({ title, nameTitle, format, rows }: TopTableProps) {
  const largest = Math.max(1, ...(rows ?? []).map((row) => row.value));
  return (
    <section className="block">
      <h2>{title}</h2>
      <table className="grid">
        <thead>
          <tr>
            <th>{nameTitle}</th>
            <th className="right">Value</th>
            <th className="bar-cell" aria-hidden="true" />
          </tr>
        </thead>
        <tbody>
          {(rows ?? []).map((row) => (
            <tr key={row.name}>
              <td className="mono break">{row.name}</td>
              <td className="right number">{format(row.value)}</td>
              <td className="bar-cell" aria-hidden="true">
                <div className="bar" style={{ width: `${(100 * row.value) / largest}%` }} />
              </td>
            </tr>
          ))}
          {(rows ?? []).length === 0 && (
            <tr>
              <td colSpan={3} className="dim">
                Nothing yet
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
