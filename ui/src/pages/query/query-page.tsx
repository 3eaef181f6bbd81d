// SPDX-License-Identifier: Apache-2.0
import { Button } from '@mantine/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { navigate, useSearch } from '../../lib/router';
import { Icon } from '../../shell/icon';
import { ClockCheck } from './clock-check';
import { NearPanel } from './near-panel';
import { decodePanels, encodePanels, firstPanels, newPanel, PANELS_MAX, type PanelState } from './panel-state';

// The editors come after the first view, but do not wait forever for it.
const EDITORS_MS_MAX = 1500;

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

  const { editors, onSettled, firstCount } = useFirstView(panels);

  return (
    <main className="page">
      {editors && <ClockCheck />}
      {panels.map((panel, i) => (
        <NearPanel
          key={keys[i]} isFirst={i < firstCount} editors={editors} onSettled={onSettled}
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

// What the page shows first comes before what makes it comfortable.
function useFirstView(panels: readonly PanelState[]): { editors: boolean; onSettled: () => void; firstCount: number } {
  const [firstCount] = useState(() => firstPanels(panels, window.innerHeight).length);
  const [editors, setEditors] = useState(() => panels.slice(0, firstCount).some(({ expr }) => expr === ''));
  const unsettled = useRef(firstCount);
  const onSettled = useCallback(() => {
    if (--unsettled.current === 0) requestAnimationFrame(() => setTimeout(() => setEditors(true)));
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setEditors(true), EDITORS_MS_MAX);
    return () => clearTimeout(timer);
  }, []);
  return { editors, onSettled, firstCount };
}
