// SPDX-License-Identifier: Apache-2.0
import { memo, useMemo, useState } from 'react';
import type { AlertingRule, Rule, RuleGroup, RulesData } from '../../lib/api';
import { formatDuration, humanDuration } from '../../lib/duration';
import { plural } from '../../lib/number';
import { setSearchParam, useSearch } from '../../lib/router';
import { useSettings } from '../../lib/settings';
import { formatServerTime } from '../../lib/time';
import { useApi, useWhileVisible } from '../../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { Fold, Page, ReloadButton, SearchInput, usePages } from '../../shell/parts';
import { Annotations, chosenOf, Filter, GroupHead, QueryLink, RuleLabels, RulePlace } from './rule-parts';
import { countHealths, type Group, HEALTHS, isAlerting, keepRules } from './rules';

const RELOAD_MS = 15_000;
const NO_GROUPS: RuleGroup[] = [];

export default function RulesPage() {
  const search = new URLSearchParams(useSearch());
  const text = search.get('search') ?? '';
  const healths = chosenOf(search, 'health', HEALTHS);
  const { answer, error, loading, reload } = useApi<RulesData>('rules', { exclude_alerts: 'true', rule_lines: 'true' });
  const groups = answer?.data.groups ?? NO_GROUPS;
  const counts = useMemo(() => countHealths(groups), [groups]);
  const kept = useMemo(
    () => keepRules(groups, (rule): rule is Rule => healths.length === 0 || healths.includes(rule.health), text),
    [groups, healths.join(), text],
  );
  const { ruleGroupsPerPage } = useSettings();
  const { from, to, pager } = usePages(kept.length, ruleGroupsPerPage);
  useWhileVisible(reload, RELOAD_MS);

  return (
    <Page
      title="Rules"
      tools={
        <>
          <Filter name="health" label="Filter by health" values={HEALTHS} counts={counts} chosen={healths} />
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
      {kept.slice(from, to).map((group) => (
        <GroupView key={group.key} group={group} />
      ))}
      {pager}
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
            <RuleRow key={`${rule.name} ${i}`} rule={rule} file={group.file} />
          ))}
        </tbody>
      </table>
    </Fold>
  );
}

const RuleRow = memo(function RuleRow({ rule, file }: { rule: Rule; file: string }) {
  const { useLocalTime, showAnnotations } = useSettings();
  return (
    <tr data-rule={rule.name}>
      <td>
        <div className="rule-name">
          <span className="dim">{rule.type === 'alerting' ? 'alert' : 'record'}</span> <strong className="break">{rule.name}</strong> <RulePlace rule={rule} file={file} />
        </div>
        <QueryLink expr={rule.query} />
        {isAlerting(rule) && <Durations rule={rule} />}
        {isAlerting(rule) && showAnnotations && <Annotations annotations={rule.annotations ?? {}} />}
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

function Durations({ rule }: { rule: AlertingRule }) {
  const keep = rule.keepFiringFor > 0 ? `, keeps firing for ${formatDuration(rule.keepFiringFor * 1000)}` : '';
  return <div className="dim">{rule.duration > 0 ? `after ${formatDuration(rule.duration * 1000)}` : 'at once'}{keep}</div>;
}
