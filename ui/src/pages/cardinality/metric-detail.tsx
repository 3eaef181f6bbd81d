// SPDX-License-Identifier: Apache-2.0
// One metric: which of its labels make its series, what leaving one out would save, and the rule that does it.
import { Button } from '@mantine/core';
import { useState } from 'react';
import { apiGet, apiPost, type QueryData } from '../../lib/api';
import { quote } from '../../lib/labels';
import { formatCount, plural } from '../../lib/number';
import { useLoad } from '../../lib/use-api';
import { Link } from '../../shell/link';
import { Busy, ErrorNotice } from '../../shell/notice';
import { CopyButton, Yaml } from '../../shell/yaml';
import { Growth } from './growth';
import { dropLabelRule, dropMetricRule, metricSelector, share, topValuesQuery, valuesQuery, withoutQuery } from './savings';

const LABELS_MAX = 30;
const TOP = 10;

interface LabelFacts {
  name: string;
  values: number;
  without: number; // series if the label were left out
}

async function number(query: string, signal: AbortSignal): Promise<number> {
  const { data } = await apiPost<QueryData>('query', { query }, signal);
  return data.resultType === 'vector' ? Number(data.result[0]?.value?.[1] ?? 0) : 0;
}

export function MetricDetail({ metric, total, onClose }: { metric: string; total: number; onClose: () => void }) {
  const [chosen, setChosen] = useState<LabelFacts | null>(null);
  const load = async (signal: AbortSignal) => {
    const names = await apiGet<string[]>('labels', { 'match[]': metricSelector(metric) }, signal);
    const labels = names.data.filter((name) => name !== '__name__').slice(0, LABELS_MAX);
    const [series, ...facts] = await Promise.all([
      number(`count(${metricSelector(metric)})`, signal),
      ...labels.map(async (name): Promise<LabelFacts> => {
        const [values, without] = await Promise.all([number(valuesQuery(metric, name), signal), number(withoutQuery(metric, name), signal)]);
        return { name, values, without };
      }),
    ]);
    return { data: { series, labels: facts.toSorted((a, b) => a.without - b.without || b.values - a.values) }, warnings: [], infos: [], tookMs: 0 };
  };
  const { answer, error } = useLoad('cardinality of ' + metric, load);
  const series = answer?.data.series ?? 0;
  return (
    <section className="panel" aria-label={`Series of ${metric}`}>
      <div className="page-head">
        <h2 className="mono break">{metric}</h2>
        <div className="page-tools">
          <Link to={`/query?${new URLSearchParams({ 'g0.expr': metricSelector(metric) }).toString()}`}>Query it</Link>
          <Button size="compact-xs" variant="default" onClick={onClose}>Close</Button>
        </div>
      </div>
      {error !== null && <ErrorNotice error={error} />}
      {!answer && error === null && <Busy text="Counting" />}
      {answer && (
        <>
          <p>
            {plural(series, 'series', 'series')} now, {share(series, total)} of all.
          </p>
          <Growth expr={`count(${metricSelector(metric)})`} title="Series over the last day" />
          <div className="columns">
            <LabelTable facts={answer.data.labels} series={series} chosen={chosen} onChoose={setChosen} />
            <Advice metric={metric} chosen={chosen} series={series} />
          </div>
        </>
      )}
    </section>
  );
}

interface LabelTableProps {
  facts: readonly LabelFacts[];
  series: number;
  chosen: LabelFacts | null;
  onChoose: (label: LabelFacts | null) => void;
}

function LabelTable({ facts, series, chosen, onChoose }: LabelTableProps) {
  return (
    <table className="grid">
      <thead>
        <tr>
          <th>Label</th>
          <th className="right">Values</th>
          <th className="right">Series without it</th>
          <th className="right">Saves</th>
        </tr>
      </thead>
      <tbody>
        {facts.map((label) => (
          <tr key={label.name}>
            <td>
              <button type="button" className="as-link mono break" aria-pressed={chosen?.name === label.name} onClick={() => onChoose(label)}>
                {label.name}
              </button>
            </td>
            <td className="right number">{formatCount(label.values)}</td>
            <td className="right number">{formatCount(label.without)}</td>
            <td className="right number">{share(series - label.without, series)}</td>
          </tr>
        ))}
        {facts.length === 0 && (
          <tr>
            <td colSpan={4} className="dim">
              No labels
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Advice({ metric, chosen, series }: { metric: string; chosen: LabelFacts | null; series: number }) {
  const rule = chosen ? dropLabelRule(metric, chosen.name) : dropMetricRule(metric);
  return (
    <div>
      {chosen && <TopValues metric={metric} label={chosen.name} />}
      <div className="more">
        <span>
          {chosen
            ? `Without ${chosen.name} it would be ${plural(chosen.without, 'series', 'series')}, ${formatCount(series - chosen.without)} fewer.`
            : `Dropping the metric saves ${plural(series, 'series', 'series')}. Choose a label to see what it brings.`}
        </span>
        <CopyButton text={rule} />
      </div>
      <Yaml text={rule} />
      {chosen && chosen.without < series && (
        <p className="dim">Series that differ in this label alone become one: the scrape then has several samples for it, and all but one are refused. Better leave it out where the metric is made.</p>
      )}
    </div>
  );
}

function TopValues({ metric, label }: { metric: string; label: string }) {
  const query = topValuesQuery(metric, label, TOP);
  const { answer, error } = useLoad(query, (signal) => apiPost<QueryData>('query', { query }, signal));
  if (error !== null) return <ErrorNotice error={error} />;
  const rows = answer?.data.resultType === 'vector' ? answer.data.result : [];
  return (
    <table className="grid">
      <thead>
        <tr>
          <th>Values with the most series</th>
          <th className="right">Series</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row, i) => (
          <tr key={i}>
            <td className="mono break">{quote(row.metric[label] ?? '')}</td>
            <td className="right number">{formatCount(Number(row.value?.[1] ?? 0))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
