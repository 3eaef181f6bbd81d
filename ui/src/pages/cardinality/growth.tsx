// SPDX-License-Identifier: Apache-2.0
// One number over the last day, as a small curve.
import { apiPost, type QueryData } from '../../lib/api';
import { formatCount, parseSample } from '../../lib/number';
import { useLoad } from '../../lib/use-api';

const WIDTH = 600;
const HEIGHT = 60;
const DAY_S = 86_400;
const STEP_S = 600;

export function Growth({ expr, title }: { expr: string; title: string }) {
  const load = (signal: AbortSignal) => {
    const end = Date.now() / 1000;
    return apiPost<QueryData>('query_range', { query: expr, start: end - DAY_S, end, step: STEP_S, limit: 1 }, signal);
  };
  const { answer } = useLoad('growth ' + expr, load);
  const data = answer?.data;
  const values = data?.resultType === 'matrix' ? (data.result[0]?.values ?? []) : [];
  if (values.length < 2) return null;
  const numbers = values.map(([, text]) => parseSample(text));
  const [first = 0, last = 0] = [numbers[0], numbers.at(-1)];
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  const from = values[0]?.[0] ?? 0;
  const duration = (values.at(-1)?.[0] ?? 0) - from || 1;
  const points = values.map(([time], i) => `${(((time - from) / duration) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (((numbers[i] ?? 0) - low) / span) * (HEIGHT - 4)).toFixed(1)}`);
  const change = last - first;
  return (
    <figure className="growth">
      <figcaption>
        {title}: {formatCount(first)} → <strong>{formatCount(last)}</strong> ({change >= 0 ? '+' : '−'}
        {formatCount(Math.abs(change))})
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={title}>
        <polyline points={points.join(' ')} />
      </svg>
    </figure>
  );
}
