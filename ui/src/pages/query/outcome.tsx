// SPDX-License-Identifier: Apache-2.0
// What every query shows beside its result: errors with their place, warnings, notices, how long it took.
import { Loader, Tooltip } from '@mantine/core';
import { ApiError, type Answer, type QueryStats } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import { findErrorPlace } from '../../lib/error-position';
import { formatCount } from '../../lib/number';
import { useSettings } from '../../lib/settings';
import { ErrorNotice, Notice } from '../../shell/notice';

export function QueryError({ error, expr }: { error: unknown; expr: string }) {
  const place = error instanceof ApiError ? findErrorPlace(error.message, expr) : null;
  if (!place) return <ErrorNotice error={error} />;
  return (
    <Notice kind="error" title={`Invalid query, line ${place.lineNumber}, column ${place.column + 1}`}>
      <span className="pre-wrap">{place.message}</span>
      <pre className="error-place">
        {place.line + '\n'}
        <span className="error-caret">{' '.repeat(place.column) + '^'}</span>
      </pre>
    </Notice>
  );
}

export function Annotations({ answer }: { answer: Answer<unknown> }) {
  const { showQueryWarnings, showQueryInfoNotices } = useSettings();
  return (
    <>
      {showQueryWarnings && answer.warnings.map((text) => <Notice key={text} kind="warning">{text}</Notice>)}
      {showQueryInfoNotices && answer.infos.map((text) => <Notice key={text} kind="info">{text}</Notice>)}
    </>
  );
}

interface TookProps {
  answer: Answer<unknown> | null;
  stats?: QueryStats | undefined;
  loading: boolean;
  parts: readonly string[];
}

// How much came back and how long it took; the pointer on it shows what the server had to do for it.
export function Took({ answer, stats, loading, parts }: TookProps) {
  const text = answer && [...parts, humanDuration(answer.tookMs)].join(' · ');
  return (
    <div className="took" aria-live="polite">
      {loading && <Loader size={12} />}
      {text && stats ? (
        <Tooltip label={<Cost stats={stats} />} openDelay={200} multiline>
          <button type="button" className="took-text">{text}</button>
        </Tooltip>
      ) : (
        text
      )}
    </div>
  );
}

const TIMINGS: readonly [string, string][] = [
  ['execTotalTime', 'whole execution'], ['execQueueTime', 'waiting in the queue'], ['queryPreparationTime', 'finding series'],
  ['innerEvalTime', 'evaluation'], ['resultSortTime', 'sorting the result'],
];

function Cost({ stats: { timings, samples } }: { stats: QueryStats }) {
  const rows = TIMINGS.flatMap(([key, name]): [string, string][] => {
    const seconds = timings[key];
    return seconds === undefined ? [] : [[name, humanDuration(seconds * 1000)]];
  });
  rows.push(['samples in it', formatCount(samples.totalQueryableSamples)], ['most at a time', formatCount(samples.peakSamples)]);
  if (samples.samplesRead !== undefined) rows.push(['samples read', formatCount(samples.samplesRead)]);
  return (
    <table className="cost">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <td>{name}</td>
            <td className="right number">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
