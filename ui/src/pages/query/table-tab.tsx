// SPDX-License-Identifier: Apache-2.0
import { memo } from 'react';
import { type Histogram, type MatrixItem, type Point, type QueryData, type VectorItem } from '../../lib/api';
import { bucketText, histogramSummary } from '../../lib/histogram';
import { type Labels, labelName, quote, seriesText } from '../../lib/labels';
import { plural } from '../../lib/number';
import { useSettings } from '../../lib/settings';
import { formatTime } from '../../lib/time';
import { useLoad } from '../../lib/use-api';
import { Busy, Notice } from '../../shell/notice';
import { useLimit } from '../../shell/parts';
import { askMoment, ROWS_MAX } from './ask';
import { TimeControl } from './controls';
import { Annotations, QueryError, Took } from './outcome';
import type { ChangePanel } from './panel';
import type { PanelState } from './panel-state';
import { useSettled } from './use-settled';

const ROWS_FIRST = 500;
// Above this many rows a series is plain text: colours cost an element per label.
const COLOR_ROWS_MAX = 1000;
const BLOCK_ROWS = 100;
const ROW_PX = 27;
const SAMPLES_FIRST = 100;
const SAMPLES_MAX = 11_000;
const TIME_STEP_MS = 600_000;

interface TabProps {
  state: PanelState;
  run: number;
  onChange: ChangePanel;
  onSettled: () => void;
}

export function TableTab({ state, run, onChange, onSettled }: TabProps) {
  const { expr, endMs } = state;
  const load = (signal: AbortSignal) => askMoment(state, signal);
  const { answer, error, loading } = useLoad(JSON.stringify([expr, endMs, run]), expr.trim() === '' ? null : load);
  useSettled(!loading, onSettled);
  const data = answer?.data;
  const isSeries = data?.resultType === 'vector' || data?.resultType === 'matrix';
  const size = isSeries ? [plural(data.result.length, 'series', 'series')] : [];
  return (
    <>
      <div className="controls">
        <TimeControl label="Evaluation time" ms={endMs} stepMs={TIME_STEP_MS} onChange={(ms) => onChange({ endMs: ms }, 'replace')} />
        <Took answer={error === null ? answer : null} stats={data?.stats} loading={loading} parts={size} />
      </div>
      {expr.trim() === '' && <div className="empty">Enter an expression and execute it.</div>}
      {error !== null && <QueryError error={error} expr={expr} />}
      {error === null && answer && <Annotations answer={answer} />}
      {error === null && data && (
        <div className={loading ? 'stale' : undefined}>
          <Result key={run} data={data} />
        </div>
      )}
      {!answer && error === null && loading && <Busy text="Querying" />}
    </>
  );
}

function Result({ data }: { data: QueryData }) {
  if (data.resultType === 'scalar' || data.resultType === 'string') return <SingleValue kind={data.resultType} point={data.result} />;
  if (data.result.length === 0) return <div className="empty">No series matches.</div>;
  return <Series items={data.result} />;
}

function SingleValue({ kind, point }: { kind: string; point: Point }) {
  return (
    <div className="results" role="table">
      <div className="result-row" role="row">
        <div className="dim" role="cell">
          {kind}
        </div>
        <div className="value" role="cell">
          {point[1]}
        </div>
      </div>
    </div>
  );
}

type Item = VectorItem | MatrixItem;

function Series({ items }: { items: readonly Item[] }) {
  const { shown, more } = useLimit(items.length, ROWS_FIRST, ROWS_MAX);
  const blocks = Array.from({ length: Math.ceil(shown / BLOCK_ROWS) }, (_, i) => i * BLOCK_ROWS);
  return (
    <>
      {more}
      <div className="results" role="table" aria-rowcount={items.length}>
        {blocks.map((from) => (
          <Block key={from} items={items} from={from} to={Math.min(shown, from + BLOCK_ROWS)} colored={shown <= COLOR_ROWS_MAX} />
        ))}
      </div>
      {shown > 50 && more}
    </>
  );
}

interface BlockProps {
  items: readonly Item[];
  from: number;
  to: number;
  colored: boolean;
}

// Rows that the browser lays out only when they come near the window; a real table would have to be laid out whole.
const Block = memo(function Block({ items, from, to, colored }: BlockProps) {
  return (
    <div className="result-block" role="rowgroup" style={{ containIntrinsicHeight: `auto ${(to - from) * ROW_PX}px` }}>
      {items.slice(from, to).map((item, i) => (
        <div key={i} className="result-row" role="row">
          <div className="break" role="cell">
            <SeriesName labels={item.metric} colored={colored} />
          </div>
          <div className="value" role="cell">
            <ItemValue item={item} />
          </div>
        </div>
      ))}
    </div>
  );
});

function ItemValue({ item }: { item: Item }) {
  if ('value' in item) return item.value?.[1];
  if ('histogram' in item && item.histogram) return <HistogramText histogram={item.histogram[1]} />;
  return <Samples item={item as MatrixItem} />;
}

const SeriesName = memo(function SeriesName({ labels, colored }: { labels: Labels; colored: boolean }) {
  const { __name__: metric, ...rest } = labels;
  const pairs = Object.entries(rest);
  if (!colored || (metric !== undefined && !/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric))) return <>{seriesText(labels)}</>;
  return (
    <>
      {metric !== undefined && <span className="metric">{metric}</span>}
      {(pairs.length > 0 || metric === undefined) && <span className="dim">{'{'}</span>}
      {pairs.map(([name, value], i) => (
        <span key={name}>
          {i > 0 && <span className="dim">, </span>}
          <span className="label-name">{labelName(name)}</span>
          <span className="dim">=</span>
          <span className="label-value">{quote(value)}</span>
        </span>
      ))}
      {(pairs.length > 0 || metric === undefined) && <span className="dim">{'}'}</span>}
    </>
  );
});

function Samples({ item }: { item: MatrixItem }) {
  const { useLocalTime } = useSettings();
  const values = item.values ?? [];
  const histograms = item.histograms ?? [];
  const { shown, more } = useLimit(values.length + histograms.length, SAMPLES_FIRST, SAMPLES_MAX);
  const lines = [
    ...values.slice(0, shown).map(([time, value]) => [time, value] as const),
    ...histograms.slice(0, Math.max(0, shown - values.length)).map(([time, h]) => [time, histogramSummary(h)] as const),
  ];
  return (
    <>
      <div className="samples">
        {lines.map(([time, text], i) => (
          <div key={i}>
            {text} <span className="dim">@ {formatTime(Math.round(time * 1000), useLocalTime)}</span>
          </div>
        ))}
      </div>
      {more}
    </>
  );
}

function HistogramText({ histogram }: { histogram: Histogram }) {
  return (
    <details className="histogram">
      <summary>{histogramSummary(histogram)}</summary>
      {(histogram.buckets ?? []).map((bucket, i) => (
        <div key={i}>
          <span className="dim">{bucketText(bucket)}</span> {bucket[3]}
        </div>
      ))}
      {(histogram.buckets ?? []).length === 0 && <Notice kind="info">All buckets are empty.</Notice>}
    </details>
  );
}
