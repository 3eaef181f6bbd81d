// SPDX-License-Identifier: Apache-2.0
// Each page for people who do not see it as others do: axe's rules in both colour schemes, and the keyboard alone.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { base, check, test } from './kit.mjs';

const require = createRequire(new URL('../../ui/package.json', import.meta.url));
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const PAGES = [
  ['query?g0.expr=up', '.result-row'],
  ['query?g0.expr=up&g0.tab=graph&g0.range_input=1m&g0.show_tree=1', '.legend-row'],
  ['query?g0.expr=up%20%2F%20up&g0.tab=explain', '.match'],
  ['alerts', 'h1'],
  ['rules', 'h1'],
  ['targets', '[data-target]'],
  ['service-discovery', '.label-pair'],
  ['status', '.grid'],
  ['tsdb-status', '.bar'],
  ['cardinality', '.bar'],
  ['flags', '.grid'],
  ['config', '.yaml'],
  ['alertmanager-discovery', 'h1'],
  ['alertmanager/#/alerts', 'h1'],
  ['alertmanager/#/silences', '[role="tab"]'],
  ['alertmanager/#/silences/new', 'form'],
  ['alertmanager/#/routing?labels=%7Bseverity%3D%22page%22%7D', '[data-taken]'],
  ['alertmanager/#/receivers?receiver=database', '[data-field]'],
  ['alertmanager/#/status', '.yaml'],
];

for (const [path, content] of PAGES)
  test(`axe finds nothing serious on ${path}`, async (page) => {
    for (const colorScheme of ['light', 'dark']) {
      // The scheme may have been chosen by an earlier test.
      await page.addInitScript((scheme) => localStorage.setItem('narthex-color-scheme', scheme), colorScheme);
      await page.goto(`${base}/${path}`);
      await page.locator(content).first().waitFor();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      const text = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`).join(' | ')}`);
      check(serious.length === 0, `${colorScheme}: ${text.join('; ')}`);
    }
    await page.evaluate(() => localStorage.removeItem('narthex-color-scheme'));
  });

test('a query is asked, drawn and left with the keyboard alone', async (page) => {
  await page.goto(`${base}/query`);
  // The editor of an empty panel has the focus.
  await page.locator('.cm-content').waitFor();
  await page.waitForFunction(() => document.activeElement?.classList.contains('cm-content'));
  await page.keyboard.type('up');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.locator('.result-row').first().waitFor();

  const focusOn = async (name) => {
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      const here = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
      if (here.trim() === name) return;
    }
    throw new Error(`Tab does not reach "${name}"`);
  };
  await focusOn('Table');
  await page.keyboard.press('ArrowRight');
  await page.locator('.legend-row').first().waitFor();
  await focusOn('Range');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('5m');
  await page.keyboard.press('Enter');
  await page.waitForURL(/g0\.range_input=5m/);
  const [name] = await page.locator('.legend-row').allInnerTexts();
  await focusOn(name.trim());
  await page.keyboard.press('Enter');
  await page.locator('.legend-off').first().waitFor();
});
