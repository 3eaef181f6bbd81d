// SPDX-License-Identifier: Apache-2.0
import { memo, useMemo, useState } from 'react';
import type { Rule, RuleGroup, RulesData } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import { plural } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useSettings } from '../../lib/settings';
import { formatServerTime } from '../../lib/time';
import { useApi, useWhileVisible } from '../../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { Fold, Page, ReloadButton, SearchInput, useLimit } from '../../shell/parts';
import { Filter, GroupHead, QueryLink, RuleLabels } from './rule-parts';
import { countHealths, type Group, HEALTHS, keepRules } from './rules';

const RELOAD_MS = 15_000;
const GROUPS_FIRST = 50;
const GROUPS_MAX = 2000;
const NO_GROUPS: RuleGroup[] = [];

export default function RulesPage() {
  const search = new URLSearchParams(useSearch());
  const text = search.get('search') ?? '';
  const health = HEALTHS.find((known) => known === search.get('health')) ?? null;
  const { answer, error, loading, reload } = useApi<RulesData>('rules', { exclude_alerts: 'true' });
  const groups = answer?.data.groups ?? NO_GROUPS;
  const counts = useMemo(() => countHealths(groups), [groups]);
  const kept = useMemo(
    () => keepRules(groups, (rule): rule is Rule => health === null || rule.health === health, text),
    [groups, health, text],
  );
  const { shown, more } = useLimit(kept.length, GROUPS_FIRST, GROUPS_MAX);
  useWhileVisible(reload, RELOAD_MS);

  return (
    <Page
      title="Rules"
      tools={
        <>
          <Filter name="health" label="Filter by health" values={HEALTHS} counts={counts} chosen={health} />
          <SearchInput value={text} onChange={(value) => setSearchParam('search', value || null)} placeholder="Filter by name, label or text" />
          <ReloadButton onClick={reload} loading={loading && answer !== null} />
        </>
      }
    >
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && groups.length === 0 && (
        <Notice kind="info">No rules. They come from the files named by rule_files in the configuration.</Notice>
      )}
      {answer && groups.length > 0 && kept.length === 0 && <Notice kind="info">No rule is like that.</Notice>}
      {kept.slice(0, shown).map((group) => (
        <GroupView key={group.key} group={group} />
      ))}
      {more}
    </Page>
  );
}

function GroupView({ group: { group, rules } }: { group: Group<Rule> }) {
  const [open, setOpen] = useState(true);
  const failing = rules.filter((rule) => rule.health === 'err').length;
  return (
    <Fold
      open={open}
      onToggle={() => setOpen(!open)}
      head={
        <GroupHead group={group}>
          <span className="tally">{plural(rules.length, 'rule')}</span>
          {failing > 0 && <span className="tally tally-bad">{failing} failing</span>}
        </GroupHead>
      }
    >
      <table className="grid rule-table">
        <thead>
          <tr>
            <th>Rule</th>
            <th className="col-labels">Labels</th>
            <th className="col-health">Health</th>
            <th className="col-since">Last evaluation</th>
            <th className="col-duration">Duration</th>
          </tr>
        </thead>
        <tbody>
          {rules.map((rule, i) => (
            <RuleRow key={`${rule.name} ${i}`} rule={rule} />
          ))}
        </tbody>
      </table>
    </Fold>
  );
}

const RuleRow = memo(function RuleRow({ rule }: { rule: Rule }) {
  const { useLocalTime } = useSettings();
  return (
    <tr data-rule={rule.name}>
      <td>
        <div className="rule-name">
          <span className="dim">{rule.type === 'alerting' ? 'alert' : 'record'}</span> <strong className="break">{rule.name}</strong>
        </div>
        <QueryLink expr={rule.query} />
        {rule.lastError && <Notice kind="error">{rule.lastError}</Notice>}
      </td>
      <td>
        <RuleLabels labels={rule.labels} />
      </td>
      <td>
        <span className={`badge badge-${rule.health}`}>{rule.health}</span>
      </td>
      <td className="number">{formatServerTime(rule.lastEvaluation, useLocalTime)}</td>
      <td className="number">{humanDuration(rule.evaluationTime * 1000)}</td>
    </tr>
  );
});
