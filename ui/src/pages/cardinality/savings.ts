// SPDX-License-Identifier: Apache-2.0
// What leaving something out would save, and the rule that leaves it out.
import { labelName, quote } from '../../lib/labels';

// The metric as a selector, whatever its name is made of.
export function metricSelector(metric: string): string {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(metric) ? metric : `{${quote(metric)}}`;
}

export const valuesQuery = (metric: string, label: string): string => `count(count by (${labelName(label)}) (${metricSelector(metric)}))`;
export const withoutQuery = (metric: string, label: string): string => `count(count without (${labelName(label)}) (${metricSelector(metric)}))`;
export const topValuesQuery = (metric: string, label: string, top: number): string =>
  `topk(${top}, count by (${labelName(label)}) (${metricSelector(metric)}))`;

// RE2 reads a name literally when what has a meaning in it is escaped.
function literal(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

function yamlText(text: string): string {
  return /^[a-zA-Z_][a-zA-Z0-9_:]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

export function dropMetricRule(metric: string): string {
  return `metric_relabel_configs:\n- source_labels: [__name__]\n  regex: ${yamlText(literal(metric))}\n  action: drop\n`;
}

// Empties the label of this metric alone; labeldrop would take it from all metrics of the job.
export function dropLabelRule(metric: string, label: string): string {
  return `metric_relabel_configs:\n- source_labels: [__name__]\n  regex: ${yamlText(literal(metric))}\n  target_label: ${yamlText(label)}\n  replacement: ''\n`;
}

export function share(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const percent = (100 * part) / whole;
  return `${percent >= 10 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}
