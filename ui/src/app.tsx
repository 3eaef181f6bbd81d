// SPDX-License-Identifier: Apache-2.0
import type { ComponentType } from 'react';
import { HOME, isAgent } from './lib/mode';
import { navigate, usePath } from './lib/router';
import { PAGES } from './pages';
import { ErrorBoundary, Busy } from './shell/notice';
import { Header } from './shell/header';
import { lazily } from './shell/lazily';
import { ReadyGate } from './shell/ready-gate';
import { Link } from './shell/link';
import { Page } from './shell/parts';

const SHOWN: Record<string, ComponentType> = Object.fromEntries(Object.entries(PAGES).map(([path, page]) => [path, lazily(page, <Busy />)]));

export function App() {
  const path = usePath();
  // The server redirects these; a link within the UI can still lead here.
  if (path === '/' || path === '/graph') {
    queueMicrotask(() => navigate(HOME + window.location.search, 'replace'));
    return null;
  }
  const Current = SHOWN[path];
  return (
    <>
      <Header />
      <ErrorBoundary resetKey={path}>
        <ReadyGate>
          {Current ? <Current key={path} /> : <NoSuchPage path={path} />}
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
