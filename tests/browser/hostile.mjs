// SPDX-License-Identifier: Apache-2.0
// Names and texts that strangers choose: nothing of them runs, and none of them breaks a page's layout.
import { answerWith, base, check, picture, test } from './kit.mjs';

const MARKUP = '<img src=x onerror="document.title=1"><script>document.title=1</script>"\'><svg/onload=alert(1)>';
const RIGHT_TO_LEFT = '\u202Eevil\u202C \u05D0\u05D1\u05D2 \u0645\u0631\u062D\u0628\u0627';
const LONG = 'x'.repeat(10_000);
const LINK = 'javascript:document.title=1';
const LABELS = { __name__: `${MARKUP}`, [MARKUP]: RIGHT_TO_LEFT, [RIGHT_TO_LEFT]: MARKUP, long: LONG, link: LINK, constructor: 'a', __proto__x: 'b' };

// The innermost elements that stick out.
const widest = () =>
  [...document.querySelectorAll('body *')]
    .filter((element) => element.scrollWidth > window.innerWidth && ![...element.children].some((child) => child.scrollWidth > window.innerWidth))
    .slice(0, 4)
    .map((element) => `${element.tagName}.${element.className} in ${element.parentElement?.className}`)
    .join(', ');

async function isHarmless(page, what) {
  check((await page.title()) !== '1', `${what}: something ran`);
  const elements = await page.locator('img:not(.cm-widgetBuffer), #root script').evaluateAll((all) => all.map((element) => element.outerHTML.slice(0, 200)));
  check(elements.length === 0, `${what}: markup became elements: ${elements.join(' ')}`);
  check((await page.locator('a[href^="javascript"]').count()) === 0, `${what}: a link that runs`);
  const { scroll, inner } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, inner: window.innerWidth }));
  check(scroll <= inner, `${what}: the page is ${scroll} px wide in a window of ${inner}: ${await page.evaluate(widest)}`);
}

test('hostile series do no harm in the table, the graph and the tree', async (page) => {
  const now = Math.floor(Date.now() / 1000);
  await answerWith(page, 'query', { resultType: 'vector', result: [{ metric: LABELS, value: [now, '1'] }] }, { warnings: [MARKUP], infos: [LONG] });
  const values = Array.from({ length: 60 }, (_, i) => [now - 60 + i, String(i)]);
  await answerWith(page, 'query_range', { resultType: 'matrix', result: [{ metric: LABELS, values }, { metric: { ...LABELS, a: 'b' }, values }] });
  await page.goto(`${base}/query?g0.expr=up&g0.show_tree=1`);
  await page.locator('.result-row').first().waitFor();
  await isHarmless(page, 'table');
  await picture(page, 'hostile-table');

  await page.getByRole('tab', { name: 'Graph' }).click();
  await page.locator('.legend-row').first().waitFor();
  const box = await page.locator('.uplot .u-over').boundingBox();
  await page.mouse.move(box.x + box.width - 5, box.y + 40);
  await isHarmless(page, 'graph');
  await picture(page, 'hostile-graph');
});

test('hostile metadata does no harm in the list of metrics', async (page) => {
  await answerWith(page, 'label/__name__/values', [MARKUP, RIGHT_TO_LEFT, LONG, 'constructor']);
  await answerWith(page, 'metadata?*', { [MARKUP]: [{ type: 'gauge', help: MARKUP, unit: LONG }], [LONG]: [{ type: MARKUP, help: LONG, unit: '' }] });
  await page.goto(`${base}/query`);
  await page.getByRole('button', { name: 'Browse metrics' }).click();
  await page.getByText('4 metrics').waitFor();

  await isHarmless(page, 'metrics');
});

test('hostile targets and errors do no harm', async (page) => {
  const target = {
    discoveredLabels: LABELS, labels: LABELS, scrapePool: MARKUP, scrapeUrl: `http://a/${LONG}`, globalUrl: 'http://a/', lastError: MARKUP + LONG,
    lastScrape: '2026-01-01T00:00:00Z', lastScrapeDuration: 1, health: 'down', scrapeInterval: MARKUP, scrapeTimeout: '1s',
  };
  await answerWith(page, 'targets?*', { activeTargets: [target], droppedTargets: [{ discoveredLabels: LABELS, scrapePool: MARKUP }], droppedTargetCounts: { [LONG]: 1 } });
  await answerWith(page, 'scrape_pools', { scrapePools: [MARKUP] });
  await page.goto(`${base}/targets`);
  await page.locator('[data-target]').first().waitFor();
  await isHarmless(page, 'targets');
  await picture(page, 'hostile-targets');

  await page.goto(`${base}/service-discovery`);
  await page.locator('.label-pair').first().waitFor();
  await isHarmless(page, 'service discovery');
});

test('hostile rules and annotations do no harm', async (page) => {
  const rule = {
    type: 'alerting', name: MARKUP, query: LONG, state: 'firing', health: 'err', lastError: MARKUP, duration: 1, keepFiringFor: 0, labels: LABELS,
    annotations: { [MARKUP]: LINK, summary: LONG }, evaluationTime: 0, lastEvaluation: '2026-01-01T00:00:00Z',
    alerts: [{ labels: LABELS, annotations: { runbook: LINK, text: LONG }, state: 'firing', activeAt: '2026-01-01T00:00:00Z', value: LONG }],
  };
  const group = { name: LONG, file: MARKUP, interval: 1, limit: 0, rules: [rule], evaluationTime: 0, lastEvaluation: '2026-01-01T00:00:00Z' };
  await answerWith(page, 'rules?*', { groups: [group] });
  for (const path of ['alerts', 'rules']) {
    await page.goto(`${base}/${path}`);
    await page.locator('[data-rule]').first().waitFor();
    await isHarmless(page, path);
  }
  await picture(page, 'hostile-rules');
});

test('hostile names do no harm in the status of the storage and the cardinality explorer', async (page) => {
  const rows = [MARKUP, RIGHT_TO_LEFT, LONG].map((name) => ({ name, value: 5 }));
  await answerWith(page, 'status/tsdb*', {
    headStats: { numSeries: 5, numLabelPairs: 5, chunkCount: 5, minTime: 0, maxTime: 1 },
    seriesCountByMetricName: rows, labelValueCountByLabelName: rows, memoryInBytesByLabelName: rows, seriesCountByLabelValuePair: rows,
  });
  for (const path of ['tsdb-status', 'cardinality']) {
    await page.goto(`${base}/${path}`);
    await page.locator('.bar').first().waitFor();
    await isHarmless(page, path);
  }
  await page.getByRole('button', { name: RIGHT_TO_LEFT }).click();
  await page.getByText(/No labels/).waitFor();
  await isHarmless(page, 'metric detail');
});
