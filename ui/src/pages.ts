// SPDX-License-Identifier: Apache-2.0
// Where the code of each page is. To add a page: one folder, one row here, one in the header.
import type { ComponentType } from 'react';
import { later, type Later } from './lib/later';

export const PAGES: Record<string, Later<{ default: ComponentType }>> = {
  '/agent': later(() => import('./pages/status/agent-page')),
  '/query': later(() => import('./pages/query/query-page')),
  '/alerts': later(() => import('./pages/rules/alerts-page')),
  '/rules': later(() => import('./pages/rules/rules-page')),
  '/alertmanager-discovery': later(() => import('./pages/rules/alertmanagers-page')),
  '/targets': later(() => import('./pages/targets/targets-page')),
  '/service-discovery': later(() => import('./pages/targets/discovery-page')),
  '/status': later(() => import('./pages/status/status-page')),
  '/tsdb-status': later(() => import('./pages/status/tsdb-page')),
  '/cardinality': later(() => import('./pages/cardinality/cardinality-page')),
  '/flags': later(() => import('./pages/status/flags-page')),
  '/config': later(() => import('./pages/status/config-page')),
};

export const ALERTMANAGER = later(() => import('./alertmanager/alertmanager-app'));
