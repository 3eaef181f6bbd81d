// SPDX-License-Identifier: Apache-2.0
import { Button, NativeSelect, Switch } from '@mantine/core';
import { memo, useCallback, useMemo, useRef, useState } from 'react';
import { type Answer, apiPost } from '../../lib/api';
import type { RangeData } from '../../lib/columns';
import { formatDuration, parseDuration } from '../../lib/duration';
import { seriesText } from '../../lib/labels';
import { formatCount, plural } from '../../lib/number';
import { useLoad } from '../../lib/use-api';
import { Busy, Notice } from '../../shell/notice';
import { Segments } from '../../shell/segments';
import { align, type Aligned } from './align';
import { askRange, rangeKey, rangeOf, SERIES_MAX } from './ask';
import { Chart, type ChartHandle } from './chart';
import { seriesColor } from './colors';
import { exemplarMarks, type ExemplarMark, type ExemplarSeries } from './exemplars';
import { heat, type Heat } from './heatmap';
import { HeatmapChart } from './heatmap-chart';
import { DurationInput, RangeControl, TimeControl } from './controls';
import { Annotations, QueryError, Took } from './outcome';
import type { ChangePanel } from './panel';
import { type Display, type PanelState, type Resolution, stepMs, tooManyPoints } from './panel-state';
import { useSettled } from './use-settled';

const SERIES_FIRST = 200;

interface Ranged extends RangeData {
  exemplars: readonly ExemplarMark[];
}

const NO_MARKS: readonly ExemplarMark[] = [];

interface GraphTabProps {
  state: PanelState;
  run: number;
  onChange: ChangePanel;
  onSettled: () => void;
}

export default function GraphTab({ state, run, onChange, onSettled }: GraphTabProps) {
  const { expr, endMs, rangeMs } = state;
  const step = stepMs(state);
  const tooMany = tooManyPoints(state);
  const load = async (signal: AbortSignal): Promise<Answer<Ranged>> => {
    const wantedExemplars = state.exemplars
      ? apiPost<ExemplarSeries[]>('query_exemplars', { query: expr, ...rangeOf(state) }, signal)
      : Promise.resolve(null);
    const [answer, exemplars] = await Promise.all([askRange(state, signal), wantedExemplars]);
    return { ...answer, data: { ...answer.data, exemplars: exemplars ? exemplarMarks(exemplars.data) : NO_MARKS } };
  };
  const wanted = expr.trim() !== '' && !tooMany;
  const { answer, error, loading } = useLoad(JSON.stringify([rangeKey(state), state.exemplars, run]), wanted ? load : null);
  useSettled(!loading, onSettled);
  const ranged = answer?.data;
  const parts = ranged ? [plural(ranged.series.length, 'series', 'series'), `step ${formatDuration(step)}`] : [];
  const zoom = (fromMs: number, toMs: number) => onChange({ endMs: toMs, rangeMs: toMs - fromMs }, 'push');

  return (
    <>
      <div className="controls">
        <RangeControl ms={rangeMs} onChange={(ms) => onChange({ rangeMs: ms }, 'replace')} />
        <TimeControl label="End time" ms={endMs} stepMs={rangeMs / 2} onChange={(ms) => onChange({ endMs: ms }, 'replace')} />
        <ResolutionControl resolution={state.resolution} currentMs={step} onChange={(resolution) => onChange({ resolution }, 'replace')} />
        <Segments label="Display" value={state.display} onChange={(display) => onChange({ display }, 'replace')} choices={DISPLAYS} />
        <Switch
          size="xs" label="From zero" checked={state.yMin === 0 || state.display === 'stacked'} disabled={state.display !== 'lines'}
          onChange={(event) => onChange({ yMin: event.currentTarget.checked ? 0 : null }, 'replace')}
        />
        <Switch
          size="xs" label="Exemplars" checked={state.exemplars} disabled={state.display === 'heatmap'}
          onChange={(event) => onChange({ exemplars: event.currentTarget.checked }, 'replace')}
        />
        <Took answer={error === null ? answer : null} stats={ranged?.stats} loading={loading} parts={parts} />
      </div>
      {expr.trim() === '' && <div className="empty">Enter an expression and execute it.</div>}
      {tooMany && <Notice kind="error">The range has more than 11,000 steps of {formatDuration(step)}; take a longer step or a shorter range.</Notice>}
      {error !== null && <QueryError error={error} expr={expr} />}
      {error === null && answer && <Annotations answer={answer} />}
      {error === null && wanted && ranged && state.display === 'heatmap' && <HeatDrawing ranged={ranged} onZoom={zoom} />}
      {error === null && wanted && ranged && state.display !== 'heatmap' && (
        <Drawing ranged={ranged} stacked={state.display === 'stacked'} yMin={state.yMin} onZoom={zoom} />
      )}
      {!answer && error === null && loading && <Busy text="Querying" />}
    </>
  );
}

const DISPLAYS: readonly { value: Display; label: string }[] = [
  { value: 'lines', label: 'Lines' },
  { value: 'stacked', label: 'Stacked' },
  { value: 'heatmap', label: 'Heatmap' },
];
const STEPS = ['1s', '10s', '30s', '1m', '5m', '15m', '1h', '6h', '1d'];

function ResolutionControl({ resolution, currentMs, onChange }: { resolution: Resolution; currentMs: number; onChange: (resolution: Resolution) => void }) {
  const value = resolution.type === 'auto' ? resolution.density : resolution.type === 'fixed' ? formatDuration(resolution.stepMs) : 'custom';
  const choose = (choice: string) => {
    if (choice === 'low' || choice === 'medium' || choice === 'high') onChange({ type: 'auto', density: choice });
    else if (choice === 'custom') onChange({ type: 'custom', stepMs: currentMs });
    else onChange({ type: 'fixed', stepMs: parseDuration(choice) ?? currentMs });
  };
  const steps = value !== 'custom' && resolution.type === 'fixed' && !STEPS.includes(value) ? [value, ...STEPS] : STEPS;
  return (
    <div className="control">
      <NativeSelect
        size="xs" w={148} aria-label="Resolution" value={value} onChange={(event) => choose(event.currentTarget.value)}
        data={[
          { group: 'By the range', items: [
            { value: 'low', label: 'Low resolution' },
            { value: 'medium', label: 'Medium resolution' },
            { value: 'high', label: 'High resolution' },
          ] },
          { group: 'Fixed', items: steps.map((text) => ({ value: text, label: `Step ${text}` })) },
          { group: 'Other', items: [{ value: 'custom', label: 'Own step' }] },
        ]}
      />
      {resolution.type === 'custom' && (
        <DurationInput label="Step" width={70} ms={resolution.stepMs} onChange={(ms) => onChange({ type: 'custom', stepMs: ms })} />
      )}
    </div>
  );
}

function HeatDrawing({ ranged, onZoom }: { ranged: Ranged; onZoom: (fromMs: number, toMs: number) => void }) {
  const drawn: Heat = useMemo(() => heat(ranged), [ranged]);
  if (drawn.cells.length === 0)
    return (
      <div className="empty">
        No buckets in this range. A heatmap shows native histograms, or classic ones by their le label: try sum by (le) (rate(NAME_bucket[5m])).
      </div>
    );
  return <HeatmapChart heat={drawn} stepS={ranged.grid.stepS} onZoom={onZoom} />;
}

interface DrawingProps {
  ranged: Ranged;
  stacked: boolean;
  yMin: number | null;
  onZoom: (fromMs: number, toMs: number) => void;
}

function Drawing({ ranged, stacked, yMin, onZoom }: DrawingProps) {
  const aligned: Aligned = useMemo(() => align(ranged), [ranged]);
  const [all, setAll] = useState(false);
  const chart = useRef<ChartHandle>(null);
  const total = aligned.items.length;
  const count = Math.min(total, all ? SERIES_MAX : SERIES_FIRST);
  const names = useSame(useMemo(() => aligned.items.slice(0, count).map((item) => seriesText(item.metric)), [aligned, count]));
  // What is hidden belongs to the series it was hidden among.
  const [hidden, setHidden] = useState<{ of: readonly string[]; set: ReadonlySet<number> }>({ of: names, set: NONE });
  const hiddenSet = hidden.of === names ? hidden.set : NONE;
  const shown = useMemo(() => names.map((_, i) => !hiddenSet.has(i)), [names, hiddenSet]);
  const focus = useCallback((index: number | null) => chart.current?.focus(index), []);

  const click = useCallback(
    (index: number, toggle: boolean) => {
      const set = new Set(hiddenSet);
      if (toggle) {
        if (!set.delete(index)) set.add(index);
      } else if (!set.has(index) && set.size === names.length - 1) {
        set.clear();
      } else {
        names.forEach((_, i) => set.add(i));
        set.delete(index);
      }
      setHidden({ of: names, set });
    },
    [names, hiddenSet],
  );

  return (
    <>
      {aligned.histogramOnly > 0 && (
        <Notice kind="info">
          {plural(aligned.histogramOnly, 'series', 'series')} of native histograms cannot be drawn as lines. Try the heatmap,
          histogram_quantile() or histogram_avg().
        </Notice>
      )}
      {count < total && (
        <div className="more">
          <span>
            The first {formatCount(count)} of {formatCount(total)} series are drawn.
          </span>
          {!all && (
            <Button size="compact-xs" variant="default" onClick={() => setAll(true)}>
              Draw all
            </Button>
          )}
        </div>
      )}
      {total === 0 && aligned.histogramOnly === 0 && <div className="empty">No series matches in this range.</div>}
      {total > 0 && (
        <>
          <Chart handle={chart} aligned={aligned} names={names} shown={shown} stacked={stacked} yMin={yMin} exemplars={ranged.exemplars} onZoom={onZoom} />
          <Legend names={names} shown={shown} onHover={focus} onClick={click} />
        </>
      )}
    </>
  );
}

const NONE: ReadonlySet<number> = new Set();

// The names given before, as long as they are the same: what was made of them is kept.
function useSame(names: readonly string[]): readonly string[] {
  const before = useRef(names);
  if (before.current.length !== names.length || before.current.some((name, i) => name !== names[i])) before.current = names;
  return before.current;
}

interface LegendProps {
  names: readonly string[];
  shown: readonly boolean[];
  onHover: (index: number | null) => void;
  onClick: (index: number, toggle: boolean) => void;
}

const Legend = memo(function Legend({ names, shown, onHover, onClick }: LegendProps) {
  return (
    <div className="legend" onMouseLeave={() => onHover(null)}>
      {names.map((name, i) => (
        <button
          key={i} type="button" className={shown[i] ? 'legend-row' : 'legend-row legend-off'} aria-pressed={shown[i] ?? true}
          onMouseEnter={() => onHover(i)} onFocus={() => onHover(i)} onBlur={() => onHover(null)}
          onClick={(event) => onClick(i, event.ctrlKey || event.metaKey)}
        >
          <span className="swatch" style={{ background: seriesColor(i) }} />
          <span className="mono break">{name}</span>
        </button>
      ))}
      {names.length > 1 && <div className="legend-hint">Click: only this series. {'Ctrl'}+click: hide or show it. Drag in the graph: zoom.</div>}
    </div>
  );
});
