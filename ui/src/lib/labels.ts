// SPDX-License-Identifier: Apache-2.0
export type Labels = Record<string, string>;

const PLAIN_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const PLAIN_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export function quote(text: string): string {
  return '"' + text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') + '"';
}

export function labelName(name: string): string {
  return PLAIN_LABEL.test(name) ? name : quote(name);
}

// The series as PromQL would select it; a metric name with odd characters goes into the braces.
export function seriesText(labels: Labels): string {
  const { __name__: metric, ...rest } = labels;
  const inside = Object.entries(rest).map(([name, value]) => `${labelName(name)}=${quote(value)}`);
  const plain = metric === undefined || PLAIN_METRIC.test(metric);
  if (!plain) inside.unshift(quote(metric));
  const front = plain ? (metric ?? '') : '';
  return inside.length === 0 && front !== '' ? front : `${front}{${inside.join(', ')}}`;
}

// Every word of the search must occur in a label's name or value.
export function matchesSearch(haystack: string, search: string): boolean {
  const lower = haystack.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}
