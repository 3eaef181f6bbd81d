// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { dropLabelRule, dropMetricRule, share, topValuesQuery, valuesQuery, withoutQuery } from './savings';

test('queries name odd metrics and labels as PromQL wants them', () => {
  expect(valuesQuery('up', 'job')).toBe('count(count by (job) (up))');
  expect(withoutQuery('my.metric', 'a.b')).toBe('count(count without ("a.b") ({"my.metric"}))');
  expect(topValuesQuery('up', 'job', 5)).toBe('topk(5, count by (job) (up))');
});

test('rules match the one metric and nothing else', () => {
  expect(dropMetricRule('up')).toBe('metric_relabel_configs:\n- source_labels: [__name__]\n  regex: up\n  action: drop\n');
  expect(dropMetricRule("my.me'tric")).toContain("regex: 'my\\.me''tric'");
  expect(dropLabelRule('up', 'pod')).toBe(
    "metric_relabel_configs:\n- source_labels: [__name__]\n  regex: up\n  target_label: pod\n  replacement: ''\n",
  );
});

test('shares keep a digit while they are small', () => {
  expect([share(1, 3), share(1, 200), share(0, 5), share(5, 5), share(1, 0)]).toEqual(['33 %', '0.5 %', '0 %', '100 %', '–']);
});
