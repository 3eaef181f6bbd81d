// SPDX-License-Identifier: Apache-2.0
import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import { navigate, useSearch } from '../../lib/router';
import { Icon } from '../../shell/icon';
import { ClockCheck } from './clock-check';
import { Panel } from './panel';
import { decodePanels, encodePanels, newPanel, PANELS_MAX, type PanelState } from './panel-state';

let lastId = 0;
const newId = () => ++lastId;

export default function QueryPage() {
  const search = useSearch();
  const panels = useMemo(() => decodePanels(search), [search]);
  // Identity beyond the position, so that removing one panel does not mix up the drafts of the others.
  const [ids, setIds] = useState<number[]>([]);
  const keys = panels.map((_, i) => ids[i] ?? -1 - i);

  const show = (next: readonly PanelState[], mode: 'push' | 'replace') => navigate('/query' + encodePanels(next), mode);
  const insert = (index: number, panel: PanelState) => {
    setIds([...keys.slice(0, index), newId(), ...keys.slice(index)]);
    show(panels.toSpliced(index, 0, panel), 'push');
  };
  const remove = (index: number) => {
    setIds(keys.length === 1 ? [newId()] : keys.filter((_, i) => i !== index));
    show(panels.length === 1 ? [newPanel()] : panels.filter((_, i) => i !== index), 'push');
  };

  return (
    <main className="page">
      <ClockCheck />
      {panels.map((panel, i) => (
        <Panel
          key={keys[i]}
          state={panel}
          onChange={(patch, mode) => show(panels.with(i, { ...panel, ...patch }), mode)}
          onDuplicate={panels.length < PANELS_MAX ? () => insert(i + 1, { ...panel }) : null}
          onRemove={() => remove(i)}
        />
      ))}
      {panels.length < PANELS_MAX && (
        <Button size="xs" variant="default" leftSection={<Icon name="plus" size={14} />} onClick={() => insert(panels.length, newPanel())}>
          Add query
        </Button>
      )}
    </main>
  );
}
