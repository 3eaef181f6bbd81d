// SPDX-License-Identifier: Apache-2.0
// What the pages of alerts and of rules share.
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { formatDuration, humanDuration } from '../../lib/duration';
import { formatCount } from '../../lib/number';
import { setSearchParam } from '../../lib/router';
import { useSettings } from '../../lib/settings';
import { formatServerTime } from '../../lib/time';
import type { Labels } from '../../lib/labels';
import type { Rule, RuleGroup } from '../../lib/api';
import { Link } from '../../shell/link';
import { LabelPairs } from '../../shell/parts';

interface FilterProps<T extends string> {
  name: string; // of the parameter in the address
  label: string;
  values: readonly T[];
  counts: Record<T, number>;
  chosen: readonly T[]; // none: all are shown
}

// The values that the address chooses.
export function chosenOf<T extends string>(search: URLSearchParams, name: string, values: readonly T[]): T[] {
  const named = search.getAll(name);
  return values.filter((value) => named.includes(value));
}

export function Filter<T extends string>({ name, label, values, counts, chosen }: FilterProps<T>) {
  return (
    <Button.Group aria-label={label}>
      {values.map((value) => (
        <Button
          key={value} size="xs" variant={chosen.includes(value) ? 'light' : 'default'} aria-pressed={chosen.includes(value)}
          onClick={() => setSearchParam(name, chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value])}
        >
          <span className={`dot dot-${value}`} />
          {value} {formatCount(counts[value])}
        </Button>
      ))}
    </Button.Group>
  );
}

export function QueryLink({ expr }: { expr: string }) {
  return (
    <Link to={`/query?${new URLSearchParams({ 'g0.expr': expr, 'g0.tab': 'table' }).toString()}`} className="mono pre-wrap rule-query">
      {expr}
    </Link>
  );
}

// Where the rule stands in the group's file.
export function RulePlace({ rule, file }: { rule: Rule; file: string }) {
  if (!rule.line) return null;
  return (
    <span className="dim rule-place" title={`${file}:${rule.line}`}>
      {file.slice(file.lastIndexOf('/') + 1)}:{rule.line}
    </span>
  );
}

export function GroupHead({ group, children }: { group: RuleGroup; children?: ReactNode }) {
  const { useLocalTime } = useSettings();
  return (
    <>
      <strong>{group.name}</strong>
      <span className="dim break">{group.file}</span>
      {children}
      <span className="dim right fold-facts number">
        every {formatDuration(group.interval * 1000)}, last {formatServerTime(group.lastEvaluation, useLocalTime)}, took{' '}
        {humanDuration(group.evaluationTime * 1000)}
      </span>
    </>
  );
}

export function Annotations({ annotations }: { annotations: Labels }) {
  return (
    <dl className="annotations">
      {Object.entries(annotations).map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="pre-wrap">{text}</dd>
        </div>
      ))}
    </dl>
  );
}

export function RuleLabels({ labels }: { labels: Labels | undefined }) {
  return labels && Object.keys(labels).length > 0 ? <LabelPairs labels={labels} /> : <span className="dim">none</span>;
}
