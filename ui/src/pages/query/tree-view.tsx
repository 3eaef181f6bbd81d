// SPDX-License-Identifier: Apache-2.0
// The query as a tree: each node says what it adds, how many series come out of it and under which labels. A click
// runs the part below it instead of the whole.
import { Loader } from '@mantine/core';
import { useCallback, useEffect, useState } from 'react';
import { apiPost, type QueryData } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import type { Labels } from '../../lib/labels';
import { formatCount, plural } from '../../lib/number';
import { children, type Node, printNode, shortText, valueType } from '../../lib/promql-ast';
import { useLoad } from '../../lib/use-api';
import { describeError } from '../../lib/api';

// A part with more series than this is counted no further.
const SERIES_MAX = 5000;
const LABELS_SHOWN = 8;

export interface Part {
  path: string; // "0", "0.1": the way down from the root
  expr: string;
  node: Node;
}

interface TreeViewProps {
  root: Node;
  endMs: number | null;
  run: number;
  chosen: string; // path
  onChoose: (part: Part) => void;
}

export function TreeView({ root, endMs, run, chosen, onChoose }: TreeViewProps) {
  return (
    <div className="tree" role="tree" aria-label="Parts of the query">
      <TreeNode node={root} path="0" endMs={endMs} run={run} chosen={chosen} onChoose={onChoose} onDone={null} />
    </div>
  );
}

interface TreeNodeProps {
  node: Node;
  path: string;
  endMs: number | null;
  run: number;
  chosen: string;
  onChoose: (part: Part) => void;
  onDone: ((path: string, ok: boolean) => void) | null; // tells the parent, which waits for its children
}

function TreeNode({ node, path, endMs, run, chosen, onChoose, onDone }: TreeNodeProps) {
  const below = children(node);
  const [done, setDone] = useState<Record<string, boolean>>({});
  const childDone = useCallback((child: string, ok: boolean) => setDone((old) => ({ ...old, [child]: ok })), []);
  const outcomes = below.map((_, i) => done[`${path}.${i}`]);
  const ready = outcomes.every((ok) => ok === true);
  const blocked = outcomes.some((ok) => ok === false);
  const expr = printNode(node);
  const load = (signal: AbortSignal) =>
    apiPost<QueryData>('query', { query: expr, time: (endMs ?? Date.now()) / 1000, limit: SERIES_MAX }, signal);
  const { answer, error, loading } = useLoad(JSON.stringify([expr, endMs, run, ready]), ready ? load : null);
  const ok = blocked || error !== null ? false : answer && !loading ? true : undefined;
  useEffect(() => {
    if (ok !== undefined) onDone?.(path, ok);
  }, [ok, onDone, path]);

  const tone = error !== null ? 'tree-node tree-node-bad' : 'tree-node';
  return (
    <div className="tree-branch" role="none">
      <div className="tree-line" role="none">
        <button
          type="button" role="treeitem" aria-selected={chosen === path} aria-expanded={below.length > 0 ? true : undefined} className={tone}
          onClick={() => onChoose({ path, expr, node })} title={expr.length > 400 ? expr.slice(0, 399) + '…' : expr}
        >
          {shortText(node)}
        </button>
        <span className="tree-result">
          {loading && ready && <Loader size={10} />}
          {blocked && 'not run: a part of it failed'}
          {error !== null && <span className="tree-error">{describeError(error).text}</span>}
          {error === null && answer && <Outcome data={answer.data} node={node} tookMs={answer.tookMs} />}
        </span>
      </div>
      {below.length > 0 && (
        <div className="tree-children" role="group">
          {below.map((child, i) => (
            <TreeNode key={i} node={child} path={`${path}.${i}`} endMs={endMs} run={run} chosen={chosen} onChoose={onChoose} onDone={childDone} />
          ))}
        </div>
      )}
    </div>
  );
}

function Outcome({ data, node, tookMs }: { data: QueryData; node: Node; tookMs: number }) {
  if (data.resultType === 'scalar' || data.resultType === 'string')
    return valueType(node) === 'scalar' && node.type !== 'numberLiteral' ? <>{data.result[1]}</> : null;
  const { length } = data.result;
  const count = length >= SERIES_MAX ? `${formatCount(SERIES_MAX)} or more series` : plural(length, 'series', 'series');
  const names = labelCounts(data.result.map((item) => item.metric));
  return (
    <>
      <strong className="number">{count}</strong> <span className="number">{humanDuration(tookMs)}</span>
      {names.slice(0, LABELS_SHOWN).map(([name, values]) => (
        <span key={name} className="tree-label">
          {name} <span className="dim">{formatCount(values)}</span>
        </span>
      ))}
      {names.length > LABELS_SHOWN && <span className="dim">and {names.length - LABELS_SHOWN} more labels</span>}
    </>
  );
}

// How many values each label has, the most first.
function labelCounts(all: readonly Labels[]): [string, number][] {
  const values = new Map<string, Set<string>>();
  for (const labels of all)
    for (const [name, value] of Object.entries(labels)) {
      if (name === '__name__') continue;
      const set = values.get(name);
      if (set) set.add(value);
      else values.set(name, new Set([value]));
    }
  return [...values].map(([name, set]): [string, number] => [name, set.size]).toSorted((a, b) => b[1] - a[1]);
}
