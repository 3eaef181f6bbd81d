// SPDX-License-Identifier: Apache-2.0
// What the chosen part of the query does, in words, and for an operator between two vectors with its own series.
import { aggregateOpTerms, functionIdentifierTerms } from '@prometheus-io/codemirror-promql/dist/esm/complete/promql.terms';
import type { ReactNode } from 'react';
import { type Answer, apiGet, apiPost, type Metadata, type QueryData, type VectorItem } from '../../lib/api';
import { formatDuration } from '../../lib/duration';
import { seriesText } from '../../lib/labels';
import { formatCount, plural } from '../../lib/number';
import {
  type Aggregation, type Binary, type Call, isComparison, isSetOperator, type Matching, type MatrixSelector, printNode, valueType, type VectorSelector,
} from '../../lib/promql-ast';
import { formatTime } from '../../lib/time';
import { useLoad } from '../../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { LabelPairs } from '../../shell/parts';
import { type MatchGroup, matchGroups } from './matching';
import type { Part } from './tree-view';

const GROUPS_SHOWN = 20;
const SERIES_SHOWN = 4;
const SERIES_MAX = 5000;

export default function ExplainTab({ part, endMs, run }: { part: Part | null; endMs: number | null; run: number }) {
  if (!part) return <div className="empty">Enter an expression and execute it.</div>;
  return (
    <div className="explain">
      <pre className="explain-expr">{part.expr}</pre>
      <Explanation part={part} endMs={endMs} run={run} />
    </div>
  );
}

function Explanation({ part, endMs, run }: { part: Part; endMs: number | null; run: number }) {
  const { node } = part;
  switch (node.type) {
    case 'aggregation':
      return <AggregationWords node={node} />;
    case 'call':
      return <CallWords node={node} />;
    case 'vectorSelector':
    case 'matrixSelector':
      return <SelectorWords node={node} path={part.path} />;
    case 'binaryExpr':
      return <BinaryWords node={node} endMs={endMs} run={run} />;
    case 'subquery':
      return (
        <p>
          Evaluates the expression before the bracket once each {node.step > 0 ? formatDuration(node.step) : 'default evaluation interval'} over the last{' '}
          {formatDuration(node.range)} and gives the values as a range vector.
        </p>
      );
    case 'unaryExpr':
      return node.op === '-' ? <p>Turns the sign of each value and drops the metric name.</p> : <p>Leaves the values as they are.</p>;
    case 'numberLiteral':
      return <p>A number.</p>;
    case 'stringLiteral':
      return <p>A text.</p>;
    default:
      return <p>Parentheses: what is inside is evaluated first. Choose it in the tree to read about it.</p>;
  }
}

function Names({ names }: { names: readonly string[] }) {
  return (
    <>
      {names.map((name, i) => (
        <span key={name}>
          {i > 0 && ', '}
          <code className="label-name">{name}</code>
        </span>
      ))}
    </>
  );
}

function AggregationWords({ node }: { node: Aggregation }) {
  const info = aggregateOpTerms.find((term) => term.label === node.op)?.info;
  const picks = ['topk', 'bottomk', 'limitk', 'limit_ratio'].includes(node.op);
  return (
    <>
      <p>
        Aggregation <strong>{node.op}</strong>
        {typeof info === 'string' && <>: {info}.</>}
      </p>
      <p>
        {node.grouping.length === 0 && !node.without && 'All series form one group.'}
        {node.grouping.length > 0 && !node.without && (
          <>
            Series that agree in <Names names={node.grouping} /> form a group.
          </>
        )}
        {node.without && (
          <>
            Series that agree in all labels {node.grouping.length > 0 && <>but <Names names={node.grouping} /> </>}form a group.
          </>
        )}{' '}
        {picks ? 'The chosen series of each group keep all their labels.' : 'Each group gives one series, with only the labels that it was formed by.'}
      </p>
    </>
  );
}

function CallWords({ node }: { node: Call }) {
  const { name, argTypes, variadic, returnType } = node.func;
  const info = functionIdentifierTerms.find((term) => term.label === name)?.info;
  const args = argTypes.map((type, i) => {
    const isLast = i === argTypes.length - 1;
    if (!isLast || variadic === 0) return type;
    return variadic < 0 ? `${type}, …` : `[${type}]`;
  });
  return (
    <>
      <p>
        Function <code>{`${name}(${args.join(', ')})`}</code>, gives {returnType === 'vector' ? 'an instant vector' : `a ${returnType}`}.
      </p>
      {typeof info === 'string' && <p>{info}.</p>}
    </>
  );
}

const MATCHER_WORDS = { '=': 'is', '!=': 'is not', '=~': 'matches, from its beginning to its end,', '!~': 'does not match' } as const;

function SelectorWords({ node, path }: { node: VectorSelector | MatrixSelector; path: string }) {
  const isMatrix = node.type === 'matrixSelector';
  return (
    <>
      <p>
        Selects {isMatrix ? <>all samples of the last <strong>{formatDuration(node.range)}</strong></> : 'the newest sample'} of each series where
      </p>
      <ul>
        {node.matchers.map((m, i) => (
          <li key={i}>
            {m.name === '__name__' ? 'the metric name' : <>label <code className="label-name">{m.name}</code></>} {MATCHER_WORDS[m.type]}{' '}
            <code className="label-value">{JSON.stringify(m.value)}</code>
          </li>
        ))}
      </ul>
      {node.anchored && <p>Anchored: the window begins with the last sample before it, so that nothing is extrapolated.</p>}
      {node.smoothed && <p>Smoothed: values at the ends of the window are interpolated from the samples around them.</p>}
      <ShiftWords node={node} />
      {node.name !== '' && <MetricFacts metric={node.name} isMatrix={isMatrix} isRoot={path === '0'} />}
    </>
  );
}

function ShiftWords({ node }: { node: VectorSelector | MatrixSelector }) {
  return (
    <>
      {node.offset !== 0 && (
        <p>
          As of {formatDuration(Math.abs(node.offset))} {node.offset > 0 ? 'earlier' : 'later'} than the evaluation time.
        </p>
      )}
      {node.timestamp !== null && <p>Evaluated at {formatTime(node.timestamp, false)} UTC, whatever the query's time is.</p>}
      {node.startOrEnd && <p>Evaluated at the {node.startOrEnd} of the query's range.</p>}
    </>
  );
}

function MetricFacts({ metric, isMatrix, isRoot }: { metric: string; isMatrix: boolean; isRoot: boolean }) {
  const names = [metric, metric.replace(/_(bucket|count|sum|total|created)$/, '')].filter((name, i, all) => all.indexOf(name) === i);
  const load = async (signal: AbortSignal): Promise<Answer<Metadata | null>> => {
    for (const name of names) {
      const answer = await apiGet<Record<string, Metadata[]>>('metadata', { metric: name, limit_per_metric: 1 }, signal);
      const found = answer.data[name]?.[0];
      if (found) return { ...answer, data: found };
    }
    return { data: null, warnings: [], infos: [], tookMs: 0 };
  };
  const { answer } = useLoad('metadata ' + metric, load);
  const facts = answer?.data;
  if (!facts) return null;
  const counts = facts.type === 'counter' || ((facts.type === 'histogram' || facts.type === 'summary') && /_(bucket|count|sum)$/.test(metric));
  return (
    <>
      <p>
        <code>{metric}</code> is a <strong>{facts.type}</strong>
        {facts.unit && <> in {facts.unit}</>}
        {facts.help && <>: {facts.help}</>}
      </p>
      {counts && !isMatrix && isRoot && (
        <Notice kind="info">
          A counter only grows until its process restarts. How fast it grows tells more: try <code>{`rate(${metric}[5m])`}</code>.
        </Notice>
      )}
    </>
  );
}

const OPERATOR_WORDS: Record<string, string> = {
  '+': 'Adds', '-': 'Subtracts', '*': 'Multiplies', '/': 'Divides', '%': 'Takes the remainder of dividing', '^': 'Raises to the power', atan2: 'Takes the arc tangent of',
};

function BinaryWords({ node, endMs, run }: { node: Binary; endMs: number | null; run: number }) {
  const left = valueType(node.lhs);
  const right = valueType(node.rhs);
  if (left === 'scalar' && right === 'scalar') return <p>{arithmetic(node)} two numbers.</p>;
  if (left === 'scalar' || right === 'scalar') return <p>{arithmetic(node)} each series on the {left === 'scalar' ? 'right' : 'left'} and the number on the other side.</p>;
  const matching: Matching = node.matching ?? { card: 'one-to-one', labels: [], on: false, include: [] };
  return (
    <>
      <p>{vectorSentence(node)}</p>
      <MatchingWords matching={matching} op={node.op} />
      <MatchTable node={node} matching={matching} endMs={endMs} run={run} />
    </>
  );
}

function arithmetic({ op, bool }: Binary): ReactNode {
  if (!isComparison(op)) return OPERATOR_WORDS[op] ?? op;
  return bool ? <>Gives 1 where <code>{op}</code> holds and 0 where not, for</> : <>Keeps what <code>{op}</code> holds for, comparing</>;
}

function vectorSentence({ op, bool }: Binary): ReactNode {
  if (op === 'and') return 'Keeps the series of the left side that have a partner on the right.';
  if (op === 'or') return 'Keeps all series of the left side, and those of the right that have no partner there.';
  if (op === 'unless') return 'Keeps the series of the left side that have no partner on the right.';
  if (!isComparison(op)) return `${OPERATOR_WORDS[op] ?? op} the values of each pair of series.`;
  return bool ? <>Gives 1 for each pair for which <code>{op}</code> holds, else 0.</> : <>Keeps the left value of each pair for which <code>{op}</code> holds.</>;
}

function MatchingWords({ matching, op }: { matching: Matching; op: string }) {
  const { on, labels, card, include } = matching;
  return (
    <p>
      {on && labels.length === 0 && 'No label has to agree. '}
      {on && labels.length > 0 && <>Partners agree in <Names names={labels} />. </>}
      {!on && labels.length === 0 && 'Partners agree in all labels. '}
      {!on && labels.length > 0 && <>Partners agree in all labels but <Names names={labels} />. </>}
      {card === 'one-to-one' && 'Each series has at most one partner.'}
      {card === 'many-to-one' && 'Several series on the left may share one on the right.'}
      {card === 'one-to-many' && 'Several series on the right may share one on the left.'}
      {include.length > 0 && !isSetOperator(op) && <> The result takes <Names names={include} /> from the side with one.</>}
    </p>
  );
}

function MatchTable({ node, matching, endMs, run }: { node: Binary; matching: Matching; endMs: number | null; run: number }) {
  const sides = [printNode(node.lhs), printNode(node.rhs)] as const;
  const load = async (signal: AbortSignal): Promise<Answer<MatchGroup<VectorItem>[]>> => {
    const time = (endMs ?? Date.now()) / 1000;
    const answers = await Promise.all(sides.map((query) => apiPost<QueryData>('query', { query, time, limit: SERIES_MAX }, signal)));
    const [lhs, rhs] = answers.map((answer) => (answer.data.resultType === 'vector' ? answer.data.result : []));
    return { data: matchGroups(node.op, matching, lhs ?? [], rhs ?? []), warnings: [], infos: [], tookMs: 0 };
  };
  const { answer, error, loading } = useLoad(JSON.stringify([sides, endMs, run]), load);
  if (error !== null) return <ErrorNotice error={error} />;
  if (!answer) return loading ? <Busy text="Querying both sides" /> : null;
  // What goes wrong or stays alone is what one looks for here.
  const rank = (group: MatchGroup<VectorItem>) => (group.fault !== null ? 0 : group.pairs === 0 ? 1 : 2);
  const groups = answer.data.toSorted((a, b) => rank(a) - rank(b));
  const count = (at: number) => groups.filter((group) => rank(group) === at).length;
  return (
    <>
      <p>
        {plural(count(2), 'group')} with a result, {formatCount(count(1))} without, {formatCount(count(0))} with an error.
      </p>
      <table className="grid match">
        <thead>
          <tr>
            <th>Agreeing labels</th>
            <th>Left</th>
            <th>Right</th>
            <th>Result</th>
          </tr>
        </thead>
        <tbody>
          {groups.slice(0, GROUPS_SHOWN).map((group, i) => (
            <tr key={i}>
              <td>{Object.keys(group.labels).length > 0 ? <LabelPairs labels={group.labels} /> : <span className="dim">none</span>}</td>
              <td><SideSeries items={group.lhs} /></td>
              <td><SideSeries items={group.rhs} /></td>
              <td>{group.fault !== null ? <span className="tree-error">{group.fault}</span> : group.pairs === 0 ? <span className="dim">nothing</span> : plural(group.pairs, 'series', 'series')}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {groups.length > GROUPS_SHOWN && <div className="more">The first {GROUPS_SHOWN} of {formatCount(groups.length)} groups are shown.</div>}
    </>
  );
}

function SideSeries({ items }: { items: readonly VectorItem[] }) {
  if (items.length === 0) return <span className="dim">no partner</span>;
  return (
    <>
      {items.slice(0, SERIES_SHOWN).map((item, i) => (
        <div key={i} className="mono break">
          {seriesText(item.metric)} <strong>{item.value?.[1]}</strong>
        </div>
      ))}
      {items.length > SERIES_SHOWN && <div className="dim">and {formatCount(items.length - SERIES_SHOWN)} more</div>}
    </>
  );
}

