// SPDX-License-Identifier: Apache-2.0
import { type ComponentType, lazy, type LazyExoticComponent, Suspense } from 'react';
import { HOME, isAgent } from './lib/mode';
import { navigate, usePath } from './lib/router';
import { ErrorBoundary, Busy } from './shell/notice';
import { Header } from './shell/header';
import { ReadyGate } from './shell/ready-gate';
import { Link } from './shell/link';
import { Page } from './shell/parts';

// To add a page: one folder, one row here, one in the header.
const PAGES: Record<string, LazyExoticComponent<ComponentType>> = {
  '/agent': lazy(() => import('./pages/status/agent-page')),
  '/query': lazy(() => import('./pages/query/query-page')),
  '/alerts': lazy(() => import('./pages/rules/alerts-page')),
  '/rules': lazy(() => import('./pages/rules/rules-page')),
  '/alertmanager-discovery': lazy(() => import('./pages/rules/alertmanagers-page')),
  '/targets': lazy(() => import('./pages/targets/targets-page')),
  '/service-discovery': lazy(() => import('./pages/targets/discovery-page')),
  '/status': lazy(() => import('./pages/status/status-page')),
  '/tsdb-status': lazy(() => import('./pages/status/tsdb-page')),
  '/cardinality': lazy(() => import('./pages/cardinality/cardinality-page')),
  '/flags': lazy(() => import('./pages/status/flags-page')),
  '/config': lazy(() => import('./pages/status/config-page')),
};

export function App() {
  const path = usePath();
  // The server redirects these; a link within the UI can still lead here.
  if (path === '/' || path === '/graph') {
    queueMicrotask(() => navigate(HOME + window.location.search, 'replace'));
    return null;
  }
  const Current = PAGES[path];
  return (
    <>
      <Header />
      <ErrorBoundary resetKey={path}>
        <ReadyGate>
          <Suspense fallback={<Busy />}>{Current ? <Current /> : <NoSuchPage path={path} />}</Suspense>
        </ReadyGate>
      </ErrorBoundary>
    </>
  );
}

function NoSuchPage({ path }: { path: string }) {
  return (
    <Page title="No such page">
      <p>
        There is nothing at <code>{path}</code>. Go to <Link to={HOME}>{isAgent ? 'Agent' : 'Query'}</Link> or{' '}
        <Link to="/targets">Targets</Link>.
      </p>
    </Page>
  );
}
