// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Button, Tabs, Tooltip } from '@mantine/core';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { apiPost } from '../../lib/api';
import type { Node } from '../../lib/promql-ast';
import { rememberQuery, useSettings } from '../../lib/settings';
import { useLoad } from '../../lib/use-api';
import { Icon, type IconName } from '../../shell/icon';
import { Busy } from '../../shell/notice';
import type { EditorHandle } from './editor';
import { QueryError } from './outcome';
import type { PanelState, Tab } from './panel-state';
import { TableTab } from './table-tab';
import { type Part, TreeView } from './tree-view';

// The heavy parts: the editor with its grammar, the chart, and what few open.
const Editor = lazy(() => import('./editor'));
const GraphTab = lazy(() => import('./graph-tab'));
const ExplainTab = lazy(() => import('./explain-tab'));
const MetricsExplorer = lazy(() => import('./metrics-explorer'));

export type ChangePanel = (patch: Partial<PanelState>, mode: 'push' | 'replace') => void;

interface PanelProps {
  state: PanelState;
  onChange: ChangePanel;
  onDuplicate: (() => void) | null;
  onRemove: () => void;
}

const TABS: readonly { value: Tab; label: string; icon: IconName }[] = [
  { value: 'table', label: 'Table', icon: 'table' },
  { value: 'graph', label: 'Graph', icon: 'chart' },
  { value: 'explain', label: 'Explain', icon: 'info' },
];

export function Panel({ state, onChange, onDuplicate, onRemove }: PanelProps) {
  const [draft, setDraft] = useState(state.expr);
  const [run, setRun] = useState(0);
  const [part, setPart] = useState<Part | null>(null);
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
  const root = parsed.loading ? undefined : parsed.answer?.data;
  const whole: Part | null = root ? { path: '0', expr: state.expr, node: root } : null;
  const chosen = part ?? whole;
  const shown = part ? { ...state, expr: part.expr } : state;

  return (
    <section className="panel" aria-label="Query">
      <QueryBar draft={draft} setDraft={setDraft} onExecute={onExecute} state={state} onChange={onChange} onDuplicate={onDuplicate} onRemove={onRemove} settings={settings} />
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
          <TableTab state={shown} run={run} onChange={onChange} />
        </Tabs.Panel>
        <Tabs.Panel value="graph">
          <WhenSeen instead={<div className="unseen" />}>
            <Suspense fallback={<Busy />}>
              <GraphTab state={shown} run={run} onChange={onChange} />
            </Suspense>
          </WhenSeen>
        </Tabs.Panel>
        <Tabs.Panel value="explain">
          {parsed.error !== null && <QueryError error={parsed.error} expr={state.expr} />}
          {parsed.error === null && (
            <Suspense fallback={<Busy />}>{parsed.loading ? <Busy /> : <ExplainTab part={chosen} endMs={state.endMs} run={run} />}</Suspense>
          )}
        </Tabs.Panel>
      </Tabs>
    </section>
  );
}

// A page of many panels sets up those that can be seen, and the others when they come near.
function WhenSeen({ instead, children }: { instead: ReactNode; children: ReactNode }) {
  const [seen, setSeen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (seen || !place.current) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setSeen(true), { rootMargin: '200px' });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [seen]);
  return seen ? children : <div ref={place}>{instead}</div>;
}

interface QueryBarProps extends PanelProps {
  draft: string;
  setDraft: (text: string) => void;
  onExecute: () => void;
  settings: ReturnType<typeof useSettings>;
}

function QueryBar({ draft, setDraft, onExecute, state, onChange, onDuplicate, onRemove, settings }: QueryBarProps) {
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
          <WhenSeen instead={<pre className="editor-waiting">{draft || ' '}</pre>}>
            <Suspense fallback={<pre className="editor-waiting">{draft || ' '}</pre>}>
              <Editor
                key={`${settings.enableAutocomplete} ${settings.enableLinter} ${settings.enableSyntaxHighlighting}`}
                handle={editor} value={draft} onChange={setDraft} onExecute={onExecute} settings={settings}
              />
            </Suspense>
          </WhenSeen>
        </div>
        <Button size="sm" onClick={onExecute}>
          Execute
        </Button>
        <div className="panel-tools">
          <Tool icon="list" label="Browse metrics" onClick={() => setExploring(true)} />
          <Tool icon="format" label="Format query" onClick={format} />
          <Tool icon="tree" label={state.showTree ? 'Hide tree' : 'Show tree'} pressed={state.showTree} onClick={() => onChange({ showTree: !state.showTree }, 'replace')} />
          {onDuplicate && <Tool icon="copy" label="Duplicate query" onClick={onDuplicate} />}
          <Tool icon="close" label="Remove query" onClick={onRemove} />
        </div>
      </div>
      {formatError !== null && <QueryError error={formatError} expr={draft} />}
      {exploring && (
        <Suspense fallback={null}>
          <MetricsExplorer
            onClose={() => setExploring(false)}
            onInsert={(text) => {
              setExploring(false);
              editor.current?.insert(text);
            }}
          />
        </Suspense>
      )}
    </>
  );
}

function Tool({ icon, label, pressed, onClick }: { icon: IconName; label: string; pressed?: boolean; onClick: () => void }) {
  return (
    <Tooltip label={label} openDelay={400}>
      <ActionIcon variant={pressed ? 'light' : 'subtle'} color="gray" aria-label={label} aria-pressed={pressed} onClick={onClick}>
        <Icon name={icon} />
      </ActionIcon>
    </Tooltip>
  );
}
