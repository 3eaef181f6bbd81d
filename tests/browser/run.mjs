// SPDX-License-Identifier: Apache-2.0
// Drives the web UI of a running server in a real Chromium and looks at what a user would see.
//
//   NARTHEX_URL   the server, with its route prefix if it has one; it must have scraped for a while
//   SCREENSHOTS   folder for pictures (optional)
//   CHROMIUM      the browser (default /usr/bin/chromium)
//   UP_TARGETS    "all" (default): each target must be up; a number: that many must be
//
// Needs `npm ci` in ui/. Ends with "N passed, N failed, 0 skipped"; exit code 1 if one failed.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const base = (process.env.NARTHEX_URL ?? '').replace(/\/+$/, '');
if (!base) {
  console.error('run.mjs: NARTHEX_URL must name a running server, for example http://127.0.0.1:9090');
  process.exit(2);
}
const upTargets = process.env.UP_TARGETS ?? 'all';
const pictures = process.env.SCREENSHOTS;
if (pictures) mkdirSync(pictures, { recursive: true });

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

const tests = [];
const test = (name, body) => tests.push({ name, body });

function check(condition, text) {
  if (!condition) throw new Error(text);
}

async function api(path) {
  const response = await fetch(`${base}/api/v1/${path}`);
  const answer = await response.json();
  check(answer.status === 'success', `${path}: ${answer.error}`);
  return answer.data;
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, name + '.png') });
}

async function typeQuery(page, text) {
  const editor = page.locator('.cm-content').first();
  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.type(text);
  // An open list of completions would take the next key for itself.
  await page.keyboard.press('Escape');
}

const execute = (page) => page.getByRole('button', { name: 'Execute' }).first().click();

// Waits until the first uPlot canvas has pixels that are neither clear nor grey: the lines of the series.
async function waitForLines(page) {
  await page.locator('.uplot canvas').waitFor();
  await page.waitForFunction(() => {
    const canvas = document.querySelector('.uplot canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const [red, green, blue, alpha] = data.subarray(i, i + 4);
      if (alpha > 64 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count++;
    }
    return count > 20;
  });
}

test('a typed query gives a row for each series', async (page) => {
  const want = (await api('query?query=up')).result.length;
  check(want > 0, 'the server has no series "up" yet');
  await page.goto(`${base}/query`);

  await typeQuery(page, 'up');
  await execute(page);

  await page.locator('.result-row').first().waitFor();
  check((await page.locator('.result-row').count()) === want, `not ${want} rows`);
  const text = await page.locator('.result-row').first().innerText();
  check(/up\{.*job=".*\}\s*[01]/s.test(text), `unexpected row: ${text}`);
  check(page.url().includes('g0.expr=up'), `the address lacks the query: ${page.url()}`);
  await picture(page, 'query-table');
});

test('the graph tab draws lines and a legend', async (page) => {
  await page.goto(`${base}/query?g0.expr=up&g0.tab=table`);

  await page.getByRole('tab', { name: 'Graph' }).click();

  await page.locator('.legend-row').first().waitFor();
  check((await page.locator('.legend-row').first().innerText()).includes('up{'), 'the legend does not name the series');
  await waitForLines(page);
  check(page.url().includes('g0.tab=graph'), 'the address lacks the tab');
});

test('a click on a legend row leaves that series alone in the graph', async (page) => {
  const expr = encodeURIComponent('up or vector(3)');
  await page.goto(`${base}/query?g0.expr=${expr}&g0.tab=graph&g0.range_input=5m`);
  await page.locator('.legend-row').nth(1).waitFor();

  await page.locator('.legend-row').first().click();

  await page.locator('.legend-off').first().waitFor();
  const rows = await page.locator('.legend-row').count();
  check((await page.locator('.legend-off').count()) === rows - 1, 'not all others are off');
});

test('a link in the form of Prometheus opens its panels', async (page) => {
  const link =
    'g0.expr=up&g0.tab=graph&g0.range_input=5m&g0.res_type=auto&g0.res_density=high&g0.display_mode=stacked' +
    '&g1.expr=vector(42)&g1.tab=table';
  await page.goto(`${base}/query?${link}`);

  await page.locator('.result-row', { hasText: '42' }).waitFor();
  check((await page.locator('.panel').count()) === 2, 'not two panels');
  check((await page.getByLabel('Range', { exact: true }).inputValue()) === '5m', 'the range is not 5m');
  check((await page.getByLabel('Resolution').inputValue()) === 'high', 'the resolution is not high');
  check(await page.getByRole('radio', { name: 'Stacked' }).isChecked(), 'not stacked');
  await waitForLines(page);
  await picture(page, 'query-graph-stacked');
});

test('a busy graph is drawn', async (page) => {
  const expr = encodeURIComponent('{__name__=~".+_(seconds|bytes)_?.*", job!=""}');
  await page.goto(`${base}/query?g0.expr=${expr}&g0.tab=graph&g0.range_input=10m`);

  await waitForLines(page);
  const box = await page.locator('.uplot .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.97, box.y + box.height * 0.6);
  await picture(page, 'query-graph');
});

test('a broken query shows what is wrong and where', async (page) => {
  await page.goto(`${base}/query`);

  await typeQuery(page, 'sum(up) by (job) !! 2');
  await execute(page);

  const notice = page.getByRole('alert');
  await notice.waitFor();
  const text = await notice.innerText();
  check(/line 1, column \d+/.test(text), `no position: ${text}`);
  check(text.includes('parse error'), `no reason: ${text}`);
  const caret = (await page.locator('.error-caret').textContent()).indexOf('^');
  check(caret >= 16, `the mark is at ${caret}`);
  await picture(page, 'query-error');
});

test('the editor completes metric names from the server, and Enter executes', async (page) => {
  await page.goto(`${base}/query`);
  await page.locator('.cm-content').click();

  // The first list may come before the server's names do; each key asks again.
  await page.keyboard.type('scrape_dura', { delay: 120 });

  await page.locator('.cm-tooltip-autocomplete li', { hasText: 'scrape_duration_seconds' }).first().waitFor();
  await picture(page, 'query-completion');
  await page.keyboard.press('Enter');
  await page.locator('.cm-tooltip-autocomplete').waitFor({ state: 'detached' });
  await page.keyboard.press('Enter');
  await page.locator('.result-row', { hasText: 'scrape_duration_seconds' }).first().waitFor();
});

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

// Results that the server at hand may not have to give: the page gets them in its place.
function answerWith(page, path, data, more = {}) {
  return page.route(`**/api/v1/${path}`, (route) => route.fulfill({ json: { status: 'success', data, ...more } }));
}

test('a large result is shown in part, and whole on demand', async (page) => {
  const result = Array.from({ length: 3000 }, (_, i) => ({ metric: { __name__: 'big', i: String(i) }, value: [1, '1'] }));
  await answerWith(page, 'query', { resultType: 'vector', result });
  await page.goto(`${base}/query?g0.expr=big`);

  await page.locator('.result-row').first().waitFor();
  check((await page.locator('.result-row').count()) === 500, 'not 500 rows at first');
  await page.getByRole('button', { name: 'Show all' }).first().click();
  await page.locator('.result-row').nth(2999).waitFor();
});

test('a graph of many series draws some and says so', async (page) => {
  // An hour up to the second 36000 of 1970, a sample for each step of 14 s.
  const result = Array.from({ length: 1500 }, (_, i) => ({
    metric: { __name__: 'big', i: String(i) },
    values: Array.from({ length: 258 }, (_, k) => [32_400 + k * 14, String(i + (k % 7))]),
  }));
  await answerWith(page, 'query_range', { resultType: 'matrix', result });
  await page.goto(`${base}/query?g0.expr=big&g0.tab=graph&g0.range_input=1h&g0.end_input=1970-01-01+10:00:00`);

  await page.getByText('The first 200 of 1,500 series are drawn.').waitFor();
  check((await page.locator('.legend-row').count()) === 200, 'not 200 legend rows');
  await page.getByRole('button', { name: 'Draw all' }).click();
  await page.locator('.legend-row').nth(1499).waitFor();
  await waitForLines(page);
  await picture(page, 'query-graph-many');
});

test('samples without neighbours are drawn as dots', async (page) => {
  const values = [0, 50, 100, 150, 200].map((k) => [32_400 + k * 14, String(k)]);
  await answerWith(page, 'query_range', { resultType: 'matrix', result: [{ metric: { __name__: 'rare' }, values }] });
  await page.goto(`${base}/query?g0.expr=rare&g0.tab=graph&g0.range_input=1h&g0.end_input=1970-01-01+10:00:00`);

  await waitForLines(page);
  await picture(page, 'query-graph-dots');
});

test('native histograms, warnings and notices are shown', async (page) => {
  const histogram = { count: '12', sum: '34.5', buckets: [[0, '1', '2', '5'], [3, '-0.001', '0.001', '7']] };
  const data = { resultType: 'vector', result: [{ metric: { __name__: 'h' }, histogram: [1, histogram] }] };
  await answerWith(page, 'query', data, { warnings: ['PromQL warning: odd'], infos: ['PromQL info: well'] });
  await page.goto(`${base}/query?g0.expr=h`);

  await page.getByText('count 12, sum 34.5, 2 buckets').click();
  await page.getByText('(1, 2]').waitFor();
  await page.getByText('[-0.001, 0.001]').waitFor();
  await page.getByText('PromQL warning: odd').waitFor();
  await page.getByText('PromQL info: well').waitFor();
});

const RULE = { query: 'up == 0', health: 'ok', evaluationTime: 0.001, lastEvaluation: '2026-01-01T00:00:00Z' };
const HOSTILE = '<img src=x onerror="document.title=1"> & {{ "x" }}';
const FIRING = {
  ...RULE, type: 'alerting', name: 'Down', state: 'firing', duration: 300, keepFiringFor: 60, labels: { severity: 'page' },
  annotations: { summary: HOSTILE },
  alerts: [
    {
      labels: { alertname: 'Down', instance: HOSTILE }, annotations: { summary: HOSTILE }, state: 'firing',
      activeAt: '2026-01-01T00:00:00Z', value: '0e+00',
    },
  ],
};
const QUIET = { ...RULE, type: 'alerting', name: 'Quiet', state: 'inactive', duration: 0, keepFiringFor: 0, annotations: {}, alerts: [] };
const RECORD = { ...RULE, type: 'recording', name: 'job:up:sum', query: 'sum by (job) (up)', health: 'err', lastError: 'too much of it' };
const group = (name, rules) => ({
  name, file: '/etc/rules.yml', interval: 30, limit: 0, rules, evaluationTime: 0.002, lastEvaluation: '2026-01-01T00:00:00Z',
});

test('the alerts page shows what fires, filters by state and text, and runs nothing that it shows', async (page) => {
  await answerWith(page, 'rules?*', { groups: [group('machines', [FIRING, QUIET]), group('recorded', [RECORD])] });
  await page.goto(`${base}/alerts`);

  await page.locator('[data-rule="Down"] .alerts').getByText('<img src=x').first().waitFor();
  check((await page.locator('.fold').count()) === 1, 'a group without alerting rules is shown');
  check((await page.title()) !== '1' && (await page.locator('.page img').count()) === 0, 'markup of a label was run');
  await picture(page, 'alerts');
  await page.getByRole('button', { name: /^inactive 1/ }).click();
  await page.locator('[data-rule="Down"]').waitFor({ state: 'detached' });
  check(page.url().includes('state=inactive'), 'the address lacks the state');
  await page.getByRole('button', { name: /^inactive 1/ }).click();
  await page.getByPlaceholder('Filter by name, label or text').fill('severity="page" down');
  await page.locator('[data-rule="Quiet"]').waitFor({ state: 'detached' });
  check((await page.locator('[data-rule]').count()) === 1, 'the text filter keeps others');
});

test('the rules page names what fails and leads to the query', async (page) => {
  await answerWith(page, 'rules?*', { groups: [group('machines', [FIRING]), group('recorded', [RECORD])] });
  await page.goto(`${base}/rules`);

  await page.locator('[data-rule="job:up:sum"]').getByText('too much of it').waitFor();
  await picture(page, 'rules');
  await page.getByRole('button', { name: /^err 1/ }).click();
  await page.locator('[data-rule="Down"]').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'sum by (job) (up)' }).click();
  await page.locator('.result-row').first().waitFor();
  check(page.url().includes('g0.expr=sum+by'), `not the query of the rule: ${page.url()}`);
});

test('the page of Alertmanagers shows both lists', async (page) => {
  await answerWith(page, 'alertmanagers', {
    activeAlertmanagers: [{ url: 'http://a:9093/api/v2/alerts' }], droppedAlertmanagers: [{ url: 'http://b:9093/api/v2/alerts' }],
  });
  await page.goto(`${base}/alertmanager-discovery`);

  await page.getByRole('heading', { name: 'Active (1)' }).waitFor();
  await page.getByText('http://b:9093/api/v2/alerts').waitFor();
  await picture(page, 'alertmanager-discovery');
});

test('a server that is not ready is told apart from a broken one', async (page) => {
  await page.route('**/api/v1/status/flags', (route) => route.fulfill({ status: 503, body: 'Service Unavailable' }));
  await page.goto(`${base}/flags`);

  await page.getByRole('alert').filter({ hasText: 'Not ready' }).waitFor();
  await page.unroute('**/api/v1/status/flags');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.grid tbody tr').first().waitFor();
});

// What is meant to fail is answered with 400 or 503, which the browser reports on its console too.
const isExpected = (text) => /the server responded with a status of (400|503)/.test(text);

async function runTest(context, { body }) {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !isExpected(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.addInitScript(() =>
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  try {
    await body(page);
    check(complaints.length === 0, `the console has errors: ${complaints.join('; ')}`);
  } finally {
    await page.close();
  }
}

async function main() {
  const profile = mkdtempSync(join(tmpdir(), 'browser-test-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    viewport: { width: 1400, height: 860 },
  });
  let failed = 0;
  try {
    for (const one of tests) {
      try {
        await runTest(context, one);
        console.log(`ok      ${one.name}`);
      } catch (error) {
        failed++;
        console.log(`FAILED  ${one.name}\n        ${String(error.message ?? error).split('\n').join('\n        ')}`);
      }
    }
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
  console.log(`${tests.length - failed} passed, ${failed} failed, 0 skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
