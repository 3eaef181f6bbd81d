// SPDX-License-Identifier: Apache-2.0
import { memo, useMemo, useState } from 'react';
import type { AlertingRule, AlertState, RuleGroup, RulesData } from '../../lib/api';
import { formatDuration } from '../../lib/duration';
import { formatCount, plural } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useSettings } from '../../lib/settings';
import { formatServerTime } from '../../lib/time';
import { useApi, useWhileVisible } from '../../lib/use-api';
import { Icon } from '../../shell/icon';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { Fold, KeyValueTable, LabelPairs, Page, ReloadButton, SearchInput, useLimit, usePages } from '../../shell/parts';
import { Annotations, chosenOf, Filter, GroupHead, QueryLink, RuleLabels } from './rule-parts';
import { countStates, type Group, isAlerting, keepRules, sortAlerts, STATES } from './rules';

const RELOAD_MS = 15_000;
const ALERTS_FIRST = 50;
const ALERTS_MAX = 2000;
const NO_GROUPS: RuleGroup[] = [];

export default function AlertsPage() {
  const search = new URLSearchParams(useSearch());
  const text = search.get('search') ?? '';
  const states = chosenOf(search, 'state', STATES);
  const { answer, error, loading, reload } = useApi<RulesData>('rules', { type: 'alert', rule_lines: 'true' });
  const groups = answer?.data.groups ?? NO_GROUPS;
  const counts = useMemo(() => countStates(groups), [groups]);
  const kept = useMemo(
    () => keepRules(groups, (rule): rule is AlertingRule => isAlerting(rule) && (states.length === 0 || states.includes(rule.state)), text),
    [groups, states.join(), text],
  );
  const { alertGroupsPerPage } = useSettings();
  const { from, to, pager } = usePages(kept.length, alertGroupsPerPage);
  useWhileVisible(reload, RELOAD_MS);

  return (
    <Page
      title="Alerts"
      tools={
        <>
          <Filter name="state" label="Filter by state" values={STATES} counts={counts} chosen={states} />
          <SearchInput value={text} onChange={(value) => setSearchParam('search', value || null)} placeholder="Filter by name, label or text" />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && groups.length === 0 && (
        <Notice kind="info">No alerting rules. They come from the files named by rule_files in the configuration.</Notice>
      )}
      {answer && groups.length > 0 && kept.length === 0 && <Notice kind="info">No alerting rule is like that.</Notice>}
      {kept.slice(from, to).map((group) => (
        <AlertGroup key={group.key} group={group} />
      ))}
      {pager}
    </Page>
  );
}

function AlertGroup({ group: { group, rules } }: { group: Group<AlertingRule> }) {
  const [open, setOpen] = useState(true);
  const firing = rules.filter((rule) => rule.state === 'firing').length;
  const pending = rules.filter((rule) => rule.state === 'pending').length;
  return (
    <Fold
      open={open}
      onToggle={() => setOpen(!open)}
      head={
        <GroupHead group={group}>
          {firing > 0 && <span className="tally tally-bad">{formatCount(firing)} firing</span>}
          {pending > 0 && <span className="tally tally-mixed">{formatCount(pending)} pending</span>}
          {firing + pending === 0 && <span className="tally tally-good">all quiet</span>}
        </GroupHead>
      }
    >
      <div className="rules">
        {rules.map((rule, i) => (
          <AlertRule key={`${rule.name} ${i}`} rule={rule} file={group.file} />
        ))}
      </div>
    </Fold>
  );
}

const AlertRule = memo(function AlertRule({ rule, file }: { rule: AlertingRule; file: string }) {
  const [open, setOpen] = useState(rule.state === 'firing');
  return (
    <section className="rule" data-rule={rule.name}>
      <button type="button" className="rule-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className={open ? 'turn turned' : 'turn'}>
          <Icon name="right" size={12} />
        </span>
        <StateBadge state={rule.state} />
        <span className="break">{rule.name}</span>
        {rule.alerts.length > 0 && <span className="dim">{plural(rule.alerts.length, 'alert')}</span>}
      </button>
      {rule.lastError && <Notice kind="error">{rule.lastError}</Notice>}
      {open && <RuleDetails rule={rule} file={file} />}
    </section>
  );
});

function StateBadge({ state }: { state: AlertState }) {
  return <span className={`badge badge-${state}`}>{state}</span>;
}

function RuleDetails({ rule, file }: { rule: AlertingRule; file: string }) {
  const { showAnnotations } = useSettings();
  const rows = [
    ['Expression', <QueryLink key="q" expr={rule.query} />],
    ...(rule.line ? [['Source', <span key="s" className="mono break">{`${file}:${rule.line}`}</span>] as const] : []),
    ['For', formatDuration(rule.duration * 1000)],
    ...(rule.keepFiringFor > 0 ? [['Keep firing for', formatDuration(rule.keepFiringFor * 1000)] as const] : []),
    ['Labels', <RuleLabels key="l" labels={rule.labels} />],
    ...(showAnnotations ? [['Annotations', <Annotations key="a" annotations={rule.annotations ?? {}} />] as const] : []),
  ] as const;
  return (
    <div className="rule-body">
      <KeyValueTable rows={rows} />
      {rule.alerts.length > 0 && <AlertTable rule={rule} />}
    </div>
  );
}

function AlertTable({ rule }: { rule: AlertingRule }) {
  const { useLocalTime, showAnnotations } = useSettings();
  const alerts = useMemo(() => sortAlerts(rule), [rule]);
  const { shown, more } = useLimit(alerts.length, ALERTS_FIRST, ALERTS_MAX);
  return (
    <>
      <table className="grid alerts">
        <thead>
          <tr>
            <th>Alert</th>
            <th className="col-health">State</th>
            <th className="col-since">Active since</th>
            <th className="col-value">Value</th>
          </tr>
        </thead>
        <tbody>
          {alerts.slice(0, shown).map((alert, i) => (
            <tr key={i}>
              <td>
                <LabelPairs labels={alert.labels} />
                {showAnnotations && <Annotations annotations={alert.annotations} />}
              </td>
              <td>
                <StateBadge state={alert.state} />
                {alert.keepFiringSince && <div className="dim">kept firing since {formatServerTime(alert.keepFiringSince, useLocalTime)}</div>}
              </td>
              <td className="number">{formatServerTime(alert.activeAt, useLocalTime)}</td>
              <td className="mono break">{alert.value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more}
    </>
  );
}
