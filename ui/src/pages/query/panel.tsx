// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Button, Tabs, Tooltip } from '@mantine/core';
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { rememberQuery, useSettings } from '../../lib/settings';
import { Icon } from '../../shell/icon';
import { Busy } from '../../shell/notice';
import type { PanelState } from './panel-state';
import { TableTab } from './table-tab';

// The two heavy parts: the editor with its grammar, and the chart.
const Editor = lazy(() => import('./editor'));
const GraphTab = lazy(() => import('./graph-tab'));

export type ChangePanel = (patch: Partial<PanelState>, mode: 'push' | 'replace') => void;

interface PanelProps {
  state: PanelState;
  onChange: ChangePanel;
  onDuplicate: (() => void) | null;
  onRemove: () => void;
}

export function Panel({ state, onChange, onDuplicate, onRemove }: PanelProps) {
  const [draft, setDraft] = useState(state.expr);
  const [run, setRun] = useState(0);
  const settings = useSettings();
  // The address can change under us: back, forward, a link.
  useEffect(() => setDraft(state.expr), [state.expr]);

  // The editor keeps its first callback; this gives it the newest one.
  const execute = () => {
    rememberQuery(draft);
    if (draft !== state.expr) onChange({ expr: draft }, 'push');
    setRun((count) => count + 1);
  };
  const newest = useRef(execute);
  newest.current = execute;
  const onExecute = useCallback(() => newest.current(), []);

  return (
    <section className="panel" aria-label="Query">
      <div className="query-bar">
        <div className="editor">
          <Suspense fallback={<pre className="editor-waiting">{draft || ' '}</pre>}>
            <Editor
              key={`${settings.enableAutocomplete} ${settings.enableLinter} ${settings.enableSyntaxHighlighting}`}
              value={draft} onChange={setDraft} onExecute={onExecute} settings={settings}
            />
          </Suspense>
        </div>
        <Button size="sm" onClick={execute}>
          Execute
        </Button>
        <div className="panel-tools">
          {onDuplicate && (
            <Tooltip label="Duplicate" openDelay={400}>
              <ActionIcon variant="subtle" color="gray" aria-label="Duplicate query" onClick={onDuplicate}>
                <Icon name="copy" />
              </ActionIcon>
            </Tooltip>
          )}
          <Tooltip label="Remove" openDelay={400}>
            <ActionIcon variant="subtle" color="gray" aria-label="Remove query" onClick={onRemove}>
              <Icon name="close" />
            </ActionIcon>
          </Tooltip>
        </div>
      </div>
      <Tabs value={state.tab} onChange={(tab) => onChange({ tab: tab === 'graph' ? 'graph' : 'table' }, 'replace')} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="table" leftSection={<Icon name="table" size={14} />}>
            Table
          </Tabs.Tab>
          <Tabs.Tab value="graph" leftSection={<Icon name="chart" size={14} />}>
            Graph
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="table">
          <TableTab state={state} run={run} onChange={onChange} />
        </Tabs.Panel>
        <Tabs.Panel value="graph">
          <Suspense fallback={<Busy />}>
            <GraphTab state={state} run={run} onChange={onChange} />
          </Suspense>
        </Tabs.Panel>
      </Tabs>
    </section>
  );
}
