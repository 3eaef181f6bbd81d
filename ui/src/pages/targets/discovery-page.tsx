// SPDX-License-Identifier: Apache-2.0
import { Button } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { TargetsData } from '../../lib/api';
import { type Labels, matchesSearch, seriesText } from '../../lib/labels';
import { formatCount } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useApi } from '../../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { Fold, LabelPairs, Page, ReloadButton, SearchInput, useLimit } from '../../shell/parts';
import { RelabelDialog } from './pool-dialogs';
import { type DiscoveredPool, groupDiscovered } from './pools';

const ROWS_FIRST = 50;
const ROWS_MAX = 5000;

export default function DiscoveryPage() {
  const search = new URLSearchParams(useSearch()).get('search') ?? '';
  const { answer, error, loading, reload } = useApi<TargetsData>('targets', { state: 'any' });
  const pools = useMemo(() => (answer ? groupDiscovered(answer.data) : []), [answer]);
  return (
    <Page
      title="Service discovery"
      tools={
        <>
          <SearchInput value={search} onChange={(value) => setSearchParam('search', value || null)} placeholder="Filter by label" />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && pools.length === 0 && <Notice kind="info">Nothing has been discovered.</Notice>}
      {pools.map((pool) => (
        <PoolView key={pool.name} pool={pool} search={search} startOpen={pools.length <= 20} />
      ))}
    </Page>
  );
}

function PoolView({ pool, search, startOpen }: { pool: DiscoveredPool; search: string; startOpen: boolean }) {
  const [open, setOpen] = useState(startOpen);
  const [steps, setSteps] = useState<Labels | null>(null);
  const kept = useMemo(
    () =>
      search === ''
        ? pool.items
        : pool.items.filter((item) => matchesSearch(seriesText(item.discoveredLabels) + seriesText(item.labels ?? {}), search)),
    [pool, search],
  );
  const { shown, more } = useLimit(kept.length, ROWS_FIRST, ROWS_MAX);
  const missing = pool.total - pool.items.length;
  if (kept.length === 0 && search !== '') return null;
  return (
    <Fold
      open={open}
      onToggle={() => setOpen(!open)}
      head={
        <>
          <strong>{pool.name}</strong>
          <span className="tally">
            {formatCount(pool.active)} / {formatCount(pool.total)} active
          </span>
        </>
      }
    >
      {missing > 0 && <Notice kind="info">{formatCount(missing)} more dropped targets were counted but not kept by the server.</Notice>}
      <table className="grid half">
        <thead>
          <tr>
            <th>Discovered labels</th>
            <th>Target labels</th>
            <th className="col-tools" aria-label="Tools" />
          </tr>
        </thead>
        <tbody>
          {kept.slice(0, shown).map((item, i) => (
            <tr key={i}>
              <td>
                <LabelPairs labels={item.discoveredLabels} />
              </td>
              <td>{item.labels ? <LabelPairs labels={item.labels} /> : <span className="dim">dropped by relabelling</span>}</td>
              <td>
                <Button size="compact-xs" variant="default" onClick={() => setSteps(item.discoveredLabels)}>Relabelling</Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {more}
      {steps && <RelabelDialog pool={pool.name} labels={steps} onClose={() => setSteps(null)} />}
    </Fold>
  );
}
