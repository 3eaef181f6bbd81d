// SPDX-License-Identifier: Apache-2.0
import { api, base, check, picture, test, upTargets, waitForLines } from './kit.mjs';

test('the targets page shows each target and its health', async (page) => {
  const { activeTargets } = await api('targets?state=active');
  check(activeTargets.length > 0, 'the server has no targets');
  await page.goto(`${base}/targets`);

  await page.locator('[data-target]').first().waitFor();
  check((await page.locator('[data-target]').count()) === activeTargets.length, `not ${activeTargets.length} targets`);
  for (const target of activeTargets) {
    const row = page.locator(`[data-target="${target.scrapeUrl}"]`).first();
    check(await row.isVisible(), `${target.scrapeUrl} is not shown`);
  }
  const up = await page.locator('[data-target] .badge-up').count();
  const want = upTargets === 'all' ? activeTargets.length : Number(upTargets);
  check(up === want, `${up} targets are up, not ${want}`);
  await page.getByRole('button', { name: 'Discovered labels' }).first().click();
  await page.locator('.discovered', { hasText: '__address__' }).first().waitFor();
  await picture(page, 'targets');
});

test('targets are filtered by text and health', async (page) => {
  await page.goto(`${base}/targets`);
  await page.locator('[data-target]').first().waitFor();

  await page.getByPlaceholder('Filter by endpoint or label').fill('no such target anywhere');
  await page.locator('[data-target]').first().waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.locator('[data-target]').first().waitFor();
  await page.getByRole('button', { name: /^up / }).click();

  check(page.url().includes('health=up'), 'the address lacks the filter');
  const rows = await page.locator('[data-target]').count();
  check(rows > 0 && rows === (await page.locator('[data-target] .badge-up').count()), 'others than up are shown');
});

const SIMPLE_PAGES = [
  ['service-discovery', 'Service discovery', '.label-pair'],
  ['status', 'Runtime & build information', 'tr:has-text("Version") td'],
  ['tsdb-status', 'TSDB status', 'tr:has-text("Series") td'],
  ['flags', 'Command-line flags', 'tr:has-text("--storage.tsdb.path") td'],
  ['config', 'Configuration', '.yaml-key'],
];
for (const [path, title, content] of SIMPLE_PAGES)
  test(`the page ${path} shows what the server says`, async (page) => {
    await page.goto(`${base}/${path}`);

    await page.getByRole('heading', { name: title, level: 1 }).waitFor();
    await page.locator(content).first().waitFor();
    await picture(page, path);
  });

test('an agent has no query page in its header', async (page) => {
  await page.route('**/targets', async (route) => {
    const response = await route.fetch();
    const html = (await response.text()).replace('name="narthex-mode" content="server"', 'name="narthex-mode" content="agent"');
    await route.fulfill({ response, body: html });
  });
  await page.goto(`${base}/targets`);

  await page.getByRole('link', { name: 'Agent' }).click();
  await page.getByRole('heading', { name: 'Agent' }).waitFor();
  check((await page.getByRole('link', { name: 'Query' }).count()) === 0, 'there is a link to the query page');
});

test('the header leads from page to page without loading anew', async (page) => {
  await page.goto(`${base}/query`);
  await page.evaluate(() => (window.stillHere = true));

  await page.getByRole('link', { name: 'Targets' }).click();
  await page.locator('[data-target]').first().waitFor();
  await page.getByRole('button', { name: /^Status/ }).click();
  await page.getByRole('menuitem', { name: 'Command-line flags' }).click();
  await page.getByRole('heading', { name: 'Command-line flags' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'Targets' }).waitFor();

  check(await page.evaluate(() => window.stillHere === true), 'the page was loaded anew');
});

test('the dark scheme is kept', async (page) => {
  await page.goto(`${base}/query?g0.expr=up&g0.tab=graph&g0.range_input=10m`);
  await page.getByLabel('Dark').click();
  await page.reload();

  await waitForLines(page);
  check((await page.locator('html').getAttribute('data-mantine-color-scheme')) === 'dark', 'not dark');
  await picture(page, 'query-graph-dark');
  await page.goto(`${base}/targets`);
  await page.locator('[data-target]').first().waitFor();
  await picture(page, 'targets-dark');
  await page.goto(`${base}/query?g0.expr=${encodeURIComponent('sum(up) by (job) !! 2')}`);
  await page.getByRole('alert').waitFor();
  await picture(page, 'query-error-dark');
});

test('a server that is not ready is told apart from a broken one', async (page) => {
  await page.route('**/api/v1/status/flags', (route) => route.fulfill({ status: 503, body: 'Service Unavailable' }));
  await page.goto(`${base}/flags`);

  await page.getByRole('alert').filter({ hasText: 'Not ready' }).waitFor();
  await page.unroute('**/api/v1/status/flags');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.grid tbody tr').first().waitFor();
});
