// SPDX-License-Identifier: Apache-2.0
import './styles';
import { MantineProvider } from '@mantine/core';
import { createRoot } from 'react-dom/client';
import { lazy, Suspense } from 'react';
import { App } from './app';
import { isAlertmanager } from './lib/mode';
import { applyStoredColorScheme, colorSchemeManager, theme } from './shell/theme';

// Before the first paint, so that a dark page does not flash white.
applyStoredColorScheme();

const AlertmanagerApp = lazy(() => import('./alertmanager/alertmanager-app'));

const root = document.getElementById('root');
if (!root) throw new Error('index.html lacks #root');
createRoot(root).render(
  <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={colorSchemeManager}>
    {isAlertmanager ? (
      <Suspense>
        <AlertmanagerApp />
      </Suspense>
    ) : (
      <App />
    )}
  </MantineProvider>,
);
