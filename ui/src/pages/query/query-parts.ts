// SPDX-License-Identifier: Apache-2.0
// The heavy parts of the query page: the editor with its grammar, the chart, and what few open.
import { later } from '../../lib/later';

export const EDITOR = later(() => import('./editor'));
export const GRAPH_TAB = later(() => import('./graph-tab'));
export const EXPLAIN_TAB = later(() => import('./explain-tab'));
export const METRICS_EXPLORER = later(() => import('./metrics-explorer'));
