// SPDX-License-Identifier: Apache-2.0
// Alertmanager's pages, under the hash routes that its notifications link to.
import type { ComponentType } from 'react';
import { hashHref, useHash } from '../lib/hash-router';
import { later } from '../lib/later';
import { BareHeader } from '../shell/header';
import { lazily } from '../shell/lazily';
import { Busy, ErrorBoundary } from '../shell/notice';
import { Page } from '../shell/parts';

type PageProps = { id: string };
const page = (load: () => Promise<{ default: ComponentType<PageProps> }>) => lazily(later(load), <Busy />);

// To add a page: a file, a row here, and in NAV if it has a place of its own.
const PAGES: readonly [RegExp, ComponentType<PageProps>][] = [
  [/^\/(?:alerts)?$/, page(() => import('./alerts-page'))],
  [/^\/silences$/, page(() => import('./silences-page'))],
  [/^\/silences\/new$/, page(() => import('./silence-form'))],
  [/^\/silences\/([^/]+)\/edit$/, page(() => import('./silence-form'))],
  [/^\/silences\/([^/]+)$/, page(() => import('./silence-page'))],
  [/^\/routing$/, page(() => import('./routing-page'))],
  [/^\/receivers$/, page(() => import('./receivers-page'))],
  [/^\/status$/, page(() => import('./status-page'))],
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
        {Current ? (
          <Current id={decodeURIComponent(match?.found?.[1] ?? '')} />
        ) : (
          <Page title="No such page">
            <p>
              There is nothing at <code>{path}</code>. Go to <a href={hashHref('/alerts')}>Alerts</a>.
            </p>
          </Page>
        )}
      </ErrorBoundary>
    </>
  );
}
