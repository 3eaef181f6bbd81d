// SPDX-License-Identifier: Apache-2.0
// Pages by their addresses: links of the original, other prefixes, an agent, narrow screens.
import { base, check, picture, test } from './kit.mjs';

const { PREFIX_URL: prefixed, AGENT_URL: agent } = process.env;

// Links as Prometheus' pages, alerts and dashboards write them.
for (const [link, heading, want] of [
  ['graph?g0.expr=up&g0.tab=1', null, '.result-row >> text=up{'],
  ['graph?g0.expr=up&g0.tab=0&g0.stacked=1&g0.range_input=5m&g0.step_input=10', null, '.legend-row >> text=up{'],
  ['graph?g0.range_input=1h&g0.expr=up%20%3D%3D%201&g0.tab=1', null, '.result-row >> text=up{'],
  ['query?g0.expr=up&g0.show_tree=1&g0.tab=table', null, '.tree-node >> text=up'],
  ['query?g0.expr=up&g0.tab=explain', null, '.explain'],
  ['alerts', 'Alerts', 'h1'],
  ['alerts?state=firing&state=pending&search=nothing', 'Alerts', 'input[value="nothing"]'],
  ['rules?health=err', 'Rules', 'h1'],
  ['targets?search=narthex', 'Targets', '[data-target] >> text=job="narthex"'],
  ['targets?pool=page&health=up', 'Targets', '[data-target] >> text=job="page"'],
  ['service-discovery?pool=page&search=page', 'Service discovery', '.label-pair >> text=page'],
  ['status', 'Runtime & build information', '.grid'],
  ['tsdb-status', 'TSDB status', '.bar'],
  ['flags', 'Command-line flags', '.grid'],
  ['config', 'Configuration', '.yaml'],
  ['alertmanager-discovery', 'Alertmanager discovery', 'h1'],
  ['', null, '.cm-content'],
])
  test(`the original's link /${decodeURIComponent(link)} has its page and state`, async (page) => {
    await page.goto(`${base}/${link}`);

    if (heading) await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
    await page.locator(want).first().waitFor();
    if (link.startsWith('targets?')) check((await page.locator('[data-target]').count()) === 1, 'not only the one target');
    if (link.includes('stacked')) check(await page.getByRole('radio', { name: 'Stacked' }).isChecked(), 'not stacked');
  });

test('behind another prefix every request and link stays below it', async (page) => {
  const prefix = new URL(prefixed).pathname;
  const strays = [];
  page.on('request', (request) => {
    if (!new URL(request.url()).pathname.startsWith(prefix)) strays.push(request.url());
  });
  await page.goto(`${prefixed}graph?g0.expr=up&g0.tab=0&g0.range_input=1m`);
  await page.locator('.legend-row').first().waitFor();
  for (const name of ['Alerts', 'Rules', 'Targets', 'Service discovery', 'Query']) {
    await page.getByRole('link', { name, exact: true }).click();
    await page.waitForFunction((path) => location.pathname.startsWith(path), prefix);
    await page.locator('main').waitFor();
  }
  await page.goto(`${prefixed}targets`);
  await page.locator('[data-target]').first().waitFor();

  check(prefix.length > 1 && strays.length === 0, `asked outside ${prefix}: ${strays.join(', ')}`);
});

test('an agent says what it is, and offers what it has', async (page) => {
  await page.goto(agent);

  await page.getByRole('heading', { name: 'Agent' }).waitFor();
  for (const name of ['Query', 'Alerts', 'Rules']) check((await page.getByRole('link', { name, exact: true }).count()) === 0, `there is a link to ${name}`);
  await picture(page, 'agent');
  await page.getByRole('link', { name: 'Targets', exact: true }).click();
  await page.locator('[data-target]').first().waitFor();
});

const PAGES = [
  ['query?g0.expr=up&g0.tab=graph&g0.range_input=1m', '.legend-row'], ['query?g0.expr=up', '.result-row'], ['alerts', 'h1'], ['rules', 'h1'], ['targets', '[data-target]'],
  ['service-discovery', '.label-pair'], ['status', '.grid'], ['tsdb-status', '.bar'], ['cardinality', '.bar'], ['flags', '.grid'], ['config', '.yaml'],
  ['alertmanager/#/alerts', 'h1'], ['alertmanager/#/silences/new', 'form'], ['alertmanager/#/routing', '.route'], ['alertmanager/#/receivers', '.side-list'], ['alertmanager/#/status', '.yaml'],
];

for (const [path, content] of PAGES)
  test(`${path} fits a narrow screen`, async (page) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(`${base}/${path}`);
    await page.locator(content).first().waitFor();

    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (path.startsWith('query?g0.expr=up&')) await picture(page, 'narrow');
    check(width <= 390, `the page is ${width} pixels wide`);
  });
