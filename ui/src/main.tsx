// SPDX-License-Identifier: Apache-2.0
import { MantineProvider } from '@mantine/core';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { isAlertmanager } from './lib/mode';
import { currentPath } from './lib/place';
import { ALERTMANAGER, PAGES } from './pages';
import { lazily } from './shell/lazily';
import { colorSchemeManager, theme } from './shell/theme';

const AlertmanagerApp = lazily(ALERTMANAGER);

// The page that the address names is nearly always here first: then all of it is drawn at once.
const PAGE_MS_MAX = 100;

async function draw(): Promise<void> {
  const page = isAlertmanager ? ALERTMANAGER : PAGES[currentPath()];
  if (page) await Promise.race([page().catch(() => undefined), new Promise((done) => setTimeout(done, PAGE_MS_MAX))]);
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html lacks #root');
  createRoot(root).render(
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={colorSchemeManager}>
      {isAlertmanager ? <AlertmanagerApp /> : <App />}
    </MantineProvider>,
  );
}

void draw();
