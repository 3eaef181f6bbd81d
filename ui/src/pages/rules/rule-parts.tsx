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
import type { RuleGroup } from '../../lib/api';
import { Link } from '../../shell/link';
import { LabelPairs } from '../../shell/parts';

interface FilterProps<T extends string> {
  name: string; // of the parameter in the address
  label: string;
  values: readonly T[];
  counts: Record<T, number>;
  chosen: T | null;
}

export function Filter<T extends string>({ name, label, values, counts, chosen }: FilterProps<T>) {
  return (
    <Button.Group aria-label={label}>
      {values.map((value) => (
        <Button
          key={value} size="xs" variant={chosen === value ? 'light' : 'default'} aria-pressed={chosen === value}
          onClick={() => setSearchParam(name, chosen === value ? null : value)}
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
