// SPDX-License-Identifier: Apache-2.0
import { answerWith, api, base, check, picture, test, upTargets, waitForLines } from './kit.mjs';

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
  ['status', 'Runtime & build information', 'tr:has-text("As Prometheus") td'],
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
  await page.goto(`${base}/query?g0.expr=up&g0.tab=graph&g0.range_input=1m`);
  await page.locator('.segment', { has: page.getByLabel('Dark') }).click();
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

test('while the log is replayed the progress stands in place of the page', async (page) => {
  await page.route('**/-/ready', (route) => route.fulfill({ status: 503, body: 'Service Unavailable' }));
  await answerWith(page, 'status/walreplay', { min: 2, max: 11, current: 6 });
  await page.goto(`${base}/flags`);

  await page.getByText('Segment 6 of 11').waitFor();
  check((await page.getByRole('progressbar').getAttribute('value')) === '0.5', 'the bar is not half full');
  await picture(page, 'starting');
  await page.unroute('**/-/ready');
  await page.getByRole('heading', { name: 'Command-line flags' }).waitFor();
});

test('what the server wants known hangs on a bell', async (page) => {
  const event = { text: 'Configuration reload has failed.', date: '2026-01-01T00:00:00Z', active: true };
  await page.route('**/api/v1/notifications/live', (route) =>
    route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify(event)}\n\n` }),
  );
  await page.goto(`${base}/flags`);

  await page.getByRole('button', { name: 'Notifications: 1' }).click();
  await page.getByText('Configuration reload has failed.').waitFor();
  await picture(page, 'notifications');
});

test('a scrape pool shows the configuration in effect', async (page) => {
  await page.goto(`${base}/targets`);
  await page.getByRole('button', { name: 'Configuration' }).first().click();

  await page.getByRole('dialog').getByText('scrape_timeout').waitFor();
});

test('relabelling is shown rule by rule', async (page) => {
  const steps = [
    { rule: 'action: replace\ntarget_label: zone\nreplacement: west\n', output: { __address__: 'a:1', zone: 'west' }, keep: true },
    { rule: 'action: labeldrop\nregex: zone\n', output: { __address__: 'a:1' }, keep: true },
    { rule: 'action: drop\nsource_labels: [__address__]\n', output: {}, keep: false },
  ];
  await answerWith(page, 'targets/relabel_steps?*', { steps });
  await page.goto(`${base}/service-discovery`);
  await page.getByRole('button', { name: 'Relabelling' }).first().click();

  const dialog = page.getByRole('dialog');
  await dialog.getByText('This rule drops the target.').waitFor();
  check((await dialog.locator('.relabel-step').nth(0).getByText('sets').count()) === 1, 'rule 1 sets nothing');
  check((await dialog.locator('.relabel-step').nth(1).getByText('removes').count()) === 1, 'rule 2 removes nothing');
  await picture(page, 'relabelling');
});

test('blocks are listed, the newest first', async (page) => {
  const block = (ulid, minTime) => ({ ulid, minTime, maxTime: minTime + 7_200_000, stats: { numSamples: 5, numSeries: 2, numChunks: 3 }, compaction: { level: 1 } });
  await answerWith(page, 'status/tsdb/blocks', { blocks: [block('01OLD', 0), block('01NEW', 7_200_000)] });
  await page.goto(`${base}/tsdb-status`);

  await page.getByRole('cell', { name: '01NEW' }).waitFor();
  check((await page.locator('td.mono', { hasText: /^01/ }).allInnerTexts()).join() === '01NEW,01OLD', 'not in order');
});

test('series are deleted only after a second yes, and the server is told what the form says', async (page) => {
  const sent = [];
  await answerWith(page, 'features', { api: { admin: true } });
  await page.route('**/api/v1/admin/tsdb/delete_series', (route) => {
    sent.push(route.request().postData());
    return route.fulfill({ status: 204 });
  });
  await page.goto(`${base}/tsdb-status`);

  await page.getByLabel('Selector').fill('up{job="old"}');
  await page.getByLabel('To', { exact: true }).fill('2026-01-01 00:00:00');
  await page.getByRole('button', { name: 'Delete…' }).click();
  check(sent.length === 0, 'deleted without a second yes');
  await page.getByRole('button', { name: /^Yes, delete/ }).click();

  await page.getByText('Deleted.').waitFor();
  check(sent[0] === `match%5B%5D=${encodeURIComponent('up{job="old"}').replaceAll('%20', '+')}&end=1767225600`, `sent ${sent[0]}`);
  await picture(page, 'tsdb-admin');
});

test('without the admin API nothing can be deleted', async (page) => {
  await page.goto(`${base}/tsdb-status`);

  await page.getByText('start the server with --web.enable-admin-api').waitFor();
  check(await page.getByRole('button', { name: 'Clean', exact: true }).isDisabled(), 'cleaning is offered');
});

test('the culprit of many series is found in three clicks, with the rule that ends it', async (page) => {
  await page.goto(`${base}/query`);
  await page.getByRole('button', { name: /^Status/ }).click();
  await page.getByRole('menuitem', { name: 'Cardinality' }).click();

  const bucket = 'prometheus_http_request_duration_seconds_bucket';
  await page.getByRole('button', { name: bucket, exact: true }).click();
  const detail = page.getByRole('region', { name: `Series of ${bucket}` });
  await detail.getByRole('button', { name: 'handler', exact: true }).click();

  await detail.getByText(/Without handler it would be \d+ series/).waitFor();
  await detail.getByText(/^"\/api\/v1\/[a-z_/]+"$/).first().waitFor();
  await detail.locator('.yaml', { hasText: 'target_label: handler' }).waitFor();
  const { result } = await api(`query?query=${encodeURIComponent(`count(count without (handler) (${bucket}))`)}`);
  await detail.getByRole('row', { name: new RegExp(`^handler .* ${result[0].value[1]} `) }).waitFor();
  await picture(page, 'cardinality');
});

test('series are counted by job and target, new ones too', async (page) => {
  await page.goto(`${base}/cardinality?by=targets`);

  await page.getByRole('columnheader', { name: 'New series in an hour' }).waitFor();
  const samples = (await api('query?query=scrape_samples_post_metric_relabeling')).result.length;
  check((await page.locator('tbody tr').count()) === samples, `not ${samples} targets`);
  await page.getByRole('tab', { name: 'Jobs' }).click();
  await page.getByRole('cell', { name: 'page', exact: true }).waitFor();
});
