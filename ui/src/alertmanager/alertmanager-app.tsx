// SPDX-License-Identifier: Apache-2.0
// Alertmanager's pages, under the hash routes that its notifications link to.
import { type ComponentType, lazy, type LazyExoticComponent, Suspense } from 'react';
import { hashHref, useHash } from '../lib/hash-router';
import { BareHeader } from '../shell/header';
import { Busy, ErrorBoundary } from '../shell/notice';
import { Page } from '../shell/parts';

// To add a page: a file, a row here, and in NAV if it has a place of its own.
const PAGES: readonly [RegExp, LazyExoticComponent<ComponentType<{ id: string }>>][] = [
  [/^\/(?:alerts)?$/, lazy(() => import('./alerts-page'))],
  [/^\/silences$/, lazy(() => import('./silences-page'))],
  [/^\/silences\/new$/, lazy(() => import('./silence-form'))],
  [/^\/silences\/([^/]+)\/edit$/, lazy(() => import('./silence-form'))],
  [/^\/silences\/([^/]+)$/, lazy(() => import('./silence-page'))],
  [/^\/routing$/, lazy(() => import('./routing-page'))],
  [/^\/receivers$/, lazy(() => import('./receivers-page'))],
  [/^\/status$/, lazy(() => import('./status-page'))],
];
const NAV = [
  { path: '/alerts', label: 'Alerts' },
  { path: '/silences', label: 'Silences' },
  { path: '/routing', label: 'Routing' },
  { path: '/receivers', label: 'Receivers' },
  { path: '/status', label: 'Status' },
];

export default function AlertmanagerApp() {
  const { path } = useHash();
  const match = PAGES.map(([pattern, component]) => ({ found: pattern.exec(path), component })).find(({ found }) => found);
  const Current = match?.component;
  return (
    <>
      <BareHeader home={hashHref('/alerts')} name="Alertmanager">
        {NAV.map((page) => (
          <a key={page.path} href={hashHref(page.path)} className="nav-link" aria-current={path.startsWith(page.path) || (path === '/' && page.path === '/alerts') ? 'page' : undefined}>
            {page.label}
          </a>
        ))}
      </BareHeader>
      <ErrorBoundary resetKey={path}>
        <Suspense fallback={<Busy />}>
          {Current ? (
            <Current id={decodeURIComponent(match?.found?.[1] ?? '')} />
          ) : (
            <Page title="No such page">
              <p>
                There is nothing at <code>{path}</code>. Go to <a href={hashHref('/alerts')}>Alerts</a>.
              </p>
            </Page>
          )}
        </Suspense>
      </ErrorBoundary>
    </>
  );
}
