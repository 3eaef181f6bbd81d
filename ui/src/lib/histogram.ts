// SPDX-License-Identifier: Apache-2.0
import type { Bucket, Histogram } from './api';

// Which ends belong to the bucket, by the API's rule number.
const BRACKETS: readonly [string, string][] = [['(', ']'], ['[', ')'], ['(', ')'], ['[', ']']];

export function bucketText([rule, lower, upper]: Bucket): string {
  const [open, close] = BRACKETS[rule] ?? ['(', ')'];
  return `${open}${lower}, ${upper}${close}`;
}

export function histogramSummary(histogram: Histogram): string {
  const count = histogram.buckets?.length ?? 0;
  return `count ${histogram.count}, sum ${histogram.sum}, ${count} ${count === 1 ? 'bucket' : 'buckets'}`;
}
