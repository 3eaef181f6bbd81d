// SPDX-License-Identifier: Apache-2.0
import { Button, Tabs } from '@mantine/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { apiPost } from '../../lib/api';
import type { Node } from '../../lib/promql-ast';
import { rememberQuery, useSettings } from '../../lib/settings';
import { useLoad } from '../../lib/use-api';
import { Icon, type IconName } from '../../shell/icon';
import { IconButton } from '../../shell/icon-button';
import { lazily } from '../../shell/lazily';
import { Busy } from '../../shell/notice';
import type { EditorHandle } from './editor';
import { ExpressionBox } from './expression-box';
import { QueryError } from './outcome';
import { panelHeightPx, type PanelState, type Tab } from './panel-state';
import { EXPLAIN_TAB, GRAPH_TAB, METRICS_EXPLORER } from './query-parts';
import { TableTab } from './table-tab';
import { type Part, TreeView } from './tree-view';
import { useSettled } from './use-settled';

const GraphTab = lazily(GRAPH_TAB, <Busy />);
const ExplainTab = lazily(EXPLAIN_TAB, <Busy />);
const MetricsExplorer = lazily(METRICS_EXPLORER);

export type ChangePanel = (patch: Partial<PanelState>, mode: 'push' | 'replace') => void;

interface PanelActions {
  state: PanelState;
  onChange: ChangePanel;
  onDuplicate: (() => void) | null;
  onRemove: () => void;
}

export interface PanelProps extends PanelActions {
  editors: boolean; // they may come now: what the page shows first is there
  focused: boolean; // the expression, at the beginning
  onSettled: () => void; // what was asked first is answered and drawn
}

const TABS: readonly { value: Tab; label: string; icon: IconName }[] = [
  { value: 'table', label: 'Table', icon: 'table' },
  { value: 'graph', label: 'Graph', icon: 'chart' },
  { value: 'explain', label: 'Explain', icon: 'info' },
];

export function Panel({ state, onChange, onDuplicate, onRemove, editors, focused, onSettled }: PanelProps) {
  const [draft, setDraft] = useState(state.expr);
  const [run, setRun] = useState(0);
  const [part, setPart] = useState<Part | null>(null);
  const [settled, setSettled] = useState(false);
  const settings = useSettings();
  // The address can change under us: back, forward, a link.
  useEffect(() => {
    setDraft(state.expr);
    setPart(null);
  }, [state.expr]);

  // The editor keeps its first callback; this gives it the newest one.
  const execute = () => {
    rememberQuery(draft);
    setPart(null);
    if (draft !== state.expr) onChange({ expr: draft }, 'push');
    setRun((count) => count + 1);
  };
  const newest = useRef(execute);
  newest.current = execute;
  const onExecute = useCallback(() => newest.current(), []);

  const wantsTree = (state.showTree || state.tab === 'explain') && state.expr.trim() !== '';
  const parsed = useLoad(`parse ${wantsTree} ${state.expr}`, wantsTree ? (signal) => apiPost<Node>('parse_query', { query: state.expr }, signal) : null);
  const settle = useCallback(() => setSettled(true), []);
  useSettled(state.expr.trim() === '' || (state.tab === 'explain' && !parsed.loading), settle);
  useSettled(settled, onSettled);
  const root = parsed.loading ? undefined : parsed.answer?.data;
  const whole: Part | null = root ? { path: '0', expr: state.expr, node: root } : null;
  const chosen = part ?? whole;
  const shown = part ? { ...state, expr: part.expr } : state;

  return (
    <section className="panel" aria-label="Query" style={settled ? undefined : { minHeight: panelHeightPx(state) }}>
      <QueryBar
        draft={draft} setDraft={setDraft} onExecute={onExecute} state={state} onChange={onChange} onDuplicate={onDuplicate} onRemove={onRemove}
        settings={settings} editors={editors} focused={focused}
      />
      {state.showTree && root && <TreeView root={root} endMs={state.endMs} run={run} chosen={chosen?.path ?? '0'} onChoose={setPart} />}
      {part && part.path !== '0' && (
        <div className="more">
          <span>
            Shown is a part of the query: <code>{part.expr}</code>
          </span>
          <Button size="compact-xs" variant="default" onClick={() => setPart(null)}>Show the whole</Button>
        </div>
      )}
      <Tabs value={state.tab} onChange={(tab) => onChange({ tab: (tab ?? 'table') as Tab }, 'replace')} keepMounted={false}>
        <Tabs.List>
          {TABS.map(({ value, label, icon }) => (
            <Tabs.Tab key={value} value={value} leftSection={<Icon name={icon} size={14} />}>{label}</Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="table">
          <TableTab state={shown} run={run} onChange={onChange} onSettled={settle} />
        </Tabs.Panel>
        <Tabs.Panel value="graph">
          <GraphTab state={shown} run={run} onChange={onChange} onSettled={settle} />
        </Tabs.Panel>
        <Tabs.Panel value="explain">
          {parsed.error !== null && <QueryError error={parsed.error} expr={state.expr} />}
          {parsed.error === null && (parsed.loading ? <Busy /> : <ExplainTab part={chosen} endMs={state.endMs} run={run} />)}
        </Tabs.Panel>
      </Tabs>
    </section>
  );
}

interface QueryBarProps extends PanelActions {
  draft: string;
  setDraft: (text: string) => void;
  onExecute: () => void;
  settings: ReturnType<typeof useSettings>;
  editors: boolean;
  focused: boolean;
}

function QueryBar({ draft, setDraft, onExecute, state, onChange, onDuplicate, onRemove, settings, editors, focused }: QueryBarProps) {
  const [exploring, setExploring] = useState(false);
  const [formatError, setFormatError] = useState<unknown>(null);
  const editor = useRef<EditorHandle>(null);
  const format = () => {
    setFormatError(null);
    apiPost<string>('format_query', { query: draft }, new AbortController().signal).then((answer) => setDraft(answer.data), setFormatError);
  };
  return (
    <>
      <div className="query-bar">
        <div className="editor">
          <ExpressionBox handle={editor} value={draft} onChange={setDraft} onExecute={onExecute} settings={settings} wanted={editors} focused={focused} />
        </div>
        <Button size="sm" onClick={onExecute}>
          Execute
        </Button>
        <div className="panel-tools">
          <IconButton icon="list" label="Browse metrics" onClick={() => setExploring(true)} />
          <IconButton icon="format" label="Format query" onClick={format} />
          <IconButton icon="tree" label={state.showTree ? 'Hide tree' : 'Show tree'} pressed={state.showTree} onClick={() => onChange({ showTree: !state.showTree }, 'replace')} />
          {onDuplicate && <IconButton icon="copy" label="Duplicate query" onClick={onDuplicate} />}
          <IconButton icon="close" label="Remove query" onClick={onRemove} />
        </div>
      </div>
      {formatError !== null && <QueryError error={formatError} expr={draft} />}
      {exploring && (
        <MetricsExplorer
          onClose={() => setExploring(false)}
          onInsert={(text) => {
            setExploring(false);
            editor.current?.insert(text);
          }}
        />
      )}
    </>
  );
}
