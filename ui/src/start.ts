// SPDX-License-Identifier: Apache-2.0
// What runs first, and is small: it asks for the data of the first panels and for the code of the page that the address
// names, while the code that all pages share is still on its way.
import './styles';
import { applyStoredColorScheme } from './lib/color-scheme';
import { isAlertmanager } from './lib/mode';
import { currentPath } from './lib/place';
import { ALERTMANAGER, PAGES } from './pages';
import { askEarly } from './pages/query/ask';
import { EDITOR, GRAPH_TAB } from './pages/query/query-parts';
import { decodePanels, firstPanels } from './pages/query/panel-state';

// Nothing waits for these: who needs one asks again, and then hears of a failure.
function fetchEarly(...sources: readonly (() => Promise<unknown>)[]): void {
  for (const source of sources) source().catch(() => undefined);
}

function startQueryPage(): void {
  const panels = decodePanels(window.location.search);
  const first = firstPanels(panels, window.innerHeight);
  askEarly(first);
  if (first.some((panel) => panel.tab === 'graph')) fetchEarly(GRAPH_TAB);
  if (first.some((panel) => panel.expr === '')) fetchEarly(EDITOR);
}

// Before the first paint, so that a dark page does not flash white.
applyStoredColorScheme();
void import('./main');
if (isAlertmanager) fetchEarly(ALERTMANAGER);
else {
  const path = currentPath();
  if (path === '/query') startQueryPage();
  const page = PAGES[path];
  if (page) fetchEarly(page);
}
