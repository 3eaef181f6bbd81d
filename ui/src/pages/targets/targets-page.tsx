// SPDX-License-Identifier: Apache-2.0
import { Button, NativeSelect } from '@mantine/core';
import { Fragment, memo, useCallback, useMemo, useState } from 'react';
import { apiGet, type Health, type Target, type TargetsData } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import { formatCount } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useSettings } from '../../lib/settings';
import { formatAgo, formatServerTime } from '../../lib/time';
import { useLoad, useWhileVisible } from '../../lib/use-api';
import { useNow } from '../../lib/use-now';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { Fold, LabelPairs, Page, ReloadButton, SearchInput, useLimit } from '../../shell/parts';
import { Icon } from '../../shell/icon';
import { countByHealth, groupByPool, HEALTHS, keepTargets, type Pool } from './pools';
import { PoolConfigDialog } from './pool-dialogs';
import { usePoolChoice } from './use-pool-choice';

const RELOAD_MS = 15_000;
// A server with more targets than this is asked again only by hand.
const AUTO_RELOAD_TARGETS_MAX = 2000;
const ROWS_FIRST = 100;
const ROWS_MAX = 5000;

export default function TargetsPage() {
  const search = new URLSearchParams(useSearch());
  const text = search.get('search') ?? '';
  const named = search.getAll('health');
  const healths = HEALTHS.filter((health) => named.includes(health));
  const choice = usePoolChoice();
  const load = (signal: AbortSignal) =>
    apiGet<TargetsData>('targets', { state: 'active', scrapePool: choice.pool || undefined }, signal);
  const { answer, error, loading, reload } = useLoad(`${choice.ready} ${choice.pool}`, choice.ready ? load : null);
  const targets = answer?.data.activeTargets ?? NO_TARGETS;
  const counts = useMemo(() => countByHealth(targets), [targets]);
  const pools = useMemo(() => groupByPool(targets), [targets]);
  useWhileVisible(reload, targets.length > AUTO_RELOAD_TARGETS_MAX ? 0 : RELOAD_MS);

  return (
    <Page
      title="Targets"
      tools={
        <>
          {choice.pools.length > 1 && (
            <NativeSelect
              size="xs" aria-label="Scrape pool" value={choice.pool} onChange={(event) => choice.choose(event.currentTarget.value)}
              data={[{ value: '', label: 'All scrape pools' }, ...choice.pools.map((pool) => ({ value: pool, label: pool }))]}
            />
          )}
          <HealthFilter counts={counts} chosen={healths} />
          <SearchInput value={text} onChange={(value) => setSearchParam('search', value || null)} placeholder="Filter by endpoint or label" />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      {choice.onlyOne && (
        <Notice kind="info">There are {choice.pools.length} scrape pools; one is shown. Choose another above.</Notice>
      )}
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && targets.length === 0 && (
        <Notice kind="info">No targets. They come from scrape_configs in the configuration.</Notice>
      )}
      {pools.map((pool) => (
        <PoolView key={pool.name} pool={pool} healths={healths} search={text} startOpen={pools.length <= 20} />
      ))}
    </Page>
  );
}

const NO_TARGETS: Target[] = [];

function HealthFilter({ counts, chosen }: { counts: Record<Health, number>; chosen: readonly Health[] }) {
  return (
    <Button.Group aria-label="Filter by health">
      {HEALTHS.map((health) => (
        <Button
          key={health} size="xs" variant={chosen.includes(health) ? 'light' : 'default'} aria-pressed={chosen.includes(health)}
          onClick={() => setSearchParam('health', chosen.includes(health) ? chosen.filter((other) => other !== health) : [...chosen, health])}
        >
          <span className={`dot dot-${health}`} />
          {health} {formatCount(counts[health])}
        </Button>
      ))}
    </Button.Group>
  );
}

interface PoolProps {
  pool: Pool;
  healths: readonly Health[]; // none: all
  search: string;
  startOpen: boolean;
}

function PoolView({ pool, healths, search, startOpen }: PoolProps) {
  const [open, setOpen] = useState(startOpen);
  const [config, setConfig] = useState(false);
  const kept = useMemo(() => keepTargets(pool.targets, healths, search), [pool, healths.join(), search]);
  const { shown, more } = useLimit(kept.length, ROWS_FIRST, ROWS_MAX);
  if (kept.length === 0 && (healths.length > 0 || search !== '')) return null;
  const up = pool.targets.filter((target) => target.health === 'up').length;
  const all = pool.targets.length;
  return (
    <Fold
      open={open}
      onToggle={() => setOpen(!open)}
      tools={<Button size="compact-xs" variant="default" onClick={() => setConfig(true)}>Configuration</Button>}
      head={
        <>
          <strong>{pool.name}</strong>
          <span className={up === all ? 'tally tally-good' : up === 0 ? 'tally tally-bad' : 'tally tally-mixed'}>
            {formatCount(up)} / {formatCount(all)} up
          </span>
        </>
      }
    >
      <table className="grid targets">
        <thead>
          <tr>
            <th className="col-endpoint">Endpoint</th>
            <th className="col-health">State</th>
            <th>Labels</th>
            <th className="col-time">Last scrape</th>
            <th className="col-duration">Duration</th>
          </tr>
        </thead>
        <tbody>
          {kept.slice(0, shown).map((target, i) => (
            <TargetRow key={`${target.scrapeUrl} ${i}`} target={target} />
          ))}
        </tbody>
      </table>
      {more}
      {config && <PoolConfigDialog pool={pool.name} onClose={() => setConfig(false)} />}
    </Fold>
  );
}

const TargetRow = memo(function TargetRow({ target }: { target: Target }) {
  const [open, setOpen] = useState(false);
  const { useLocalTime } = useSettings();
  const toggle = useCallback(() => setOpen((old) => !old), []);
  const timing = [
    target.scrapeInterval && `every ${target.scrapeInterval}`,
    target.scrapeTimeout && `timeout ${target.scrapeTimeout}`,
  ].filter(Boolean);
  return (
    <Fragment>
      <tr data-target={target.scrapeUrl}>
        <td className="mono break">
          <a href={target.globalUrl} target="_blank" rel="noreferrer">
            {target.scrapeUrl}
          </a>
        </td>
        <td>
          <span className={`badge badge-${target.health}`}>{target.health}</span>
        </td>
        <td>
          <LabelPairs labels={target.labels} />
          <button type="button" className="quiet" aria-expanded={open} onClick={toggle} aria-label="Discovered labels">
            <span className={open ? 'turn turned' : 'turn'}>
              <Icon name="right" size={12} />
            </span>
            discovered
          </button>
        </td>
        <td className="number">
          <span title={formatServerTime(target.lastScrape, useLocalTime)}>
            <Ago time={target.lastScrape} />
          </span>
        </td>
        <td className="number">
          <span title={timing.join(', ') || 'no timing known'}>{target.lastScrape.startsWith('0001-') ? '–' : humanDuration(target.lastScrapeDuration * 1000)}</span>
        </td>
      </tr>
      {(open || target.lastError !== '') && (
        <tr className="below">
          <td colSpan={5}>
            {target.lastError !== '' && <Notice kind={target.health === 'down' ? 'error' : 'warning'}>{target.lastError}</Notice>}
            {open && (
              <div className="discovered">
                <LabelPairs labels={target.discoveredLabels} />
              </div>
            )}
          </td>
        </tr>
      )}
    </Fragment>
  );
});

function Ago({ time }: { time: string }) {
  return <>{formatAgo(time, useNow())}</>;
}
