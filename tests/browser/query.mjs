// SPDX-License-Identifier: Apache-2.0
import { answerWith, api, base, check, execute, picture, test, typeQuery, waitForLines } from './kit.mjs';

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
  // Of an hour a server that has just begun has no line yet.
  await page.goto(`${base}/query?g0.expr=up&g0.tab=table&g0.range_input=1m`);

  await page.getByRole('tab', { name: 'Graph' }).click();

  await page.locator('.legend-row').first().waitFor();
  check((await page.locator('.legend-row').first().innerText()).includes('up{'), 'the legend does not name the series');
  await waitForLines(page);
  check(page.url().includes('g0.tab=graph'), 'the address lacks the tab');
});

test('a graph is asked for in columns and drawn from them as from JSON', async (page) => {
  const asked = page.waitForResponse((response) => response.url().includes('query_range'));
  await page.goto(`${base}/query?g0.expr=up&g0.tab=graph&g0.range_input=1m`);
  const response = await asked;
  check(response.headers()['content-type'] === 'application/vnd.narthex.columns', `the answer is ${response.headers()['content-type']}`);
  await waitForLines(page);
  const rows = await page.locator('.legend-row').allInnerTexts();

  await page.route('**/api/v1/query_range', (route) => route.continue({ headers: { ...route.request().headers(), accept: 'application/json' } }));
  const again = page.waitForResponse((one) => one.url().includes('query_range'));
  await execute(page);
  check((await again).headers()['content-type'].startsWith('application/json'), 'not answered in JSON');
  await waitForLines(page);
  check(JSON.stringify(await page.locator('.legend-row').allInnerTexts()) === JSON.stringify(rows), 'other series from JSON');
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

test('the same series keep their drawing when they have new numbers, and what is hidden stays hidden; others get their own', async (page) => {
  let names = ['a', 'b'];
  let value = 1;
  const values = () => Array.from({ length: 61 }, (_, step) => [1000 + step, String(value)]);
  await page.route('**/api/v1/query_range', (route) =>
    route.fulfill({ json: { status: 'success', data: { resultType: 'matrix', result: names.map((i) => ({ metric: { i }, values: values() })) } } }),
  );
  await page.goto(`${base}/query?g0.expr=x&g0.tab=graph&g0.range_input=1m&g0.res_type=fixed&g0.res_step=1&g0.end_input=1970-01-01+00:17:40`);
  await page.locator('.legend-row').first().click();
  await page.locator('.legend-off').waitFor();
  await page.evaluate(() => (document.querySelector('.uplot').isTheFirst = true));
  const isTheFirst = () => page.evaluate(() => document.querySelector('.uplot').isTheFirst === true);
  const box = await page.locator('.uplot .u-over').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);

  value = 7;
  await page.getByRole('button', { name: 'Execute' }).first().focus();
  await page.keyboard.press('Enter');
  await page.locator('.chart-tip-value').filter({ hasText: '7' }).waitFor();
  check((await page.locator('.legend-off').count()) === 1, 'what was hidden is shown');
  check(await isTheFirst(), 'the drawing was made anew');

  names = ['a', 'c'];
  await page.keyboard.press('Enter');
  await page.locator('.legend-row').filter({ hasText: 'c' }).waitFor();
  check((await page.locator('.legend-off').count()) === 0, 'of other series some are hidden');
  check(!(await isTheFirst()), 'others are in the same drawing');
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
  await page.goto(`${base}/query?g0.expr=${expr}&g0.tab=graph&g0.range_input=1m`);

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

test('the editor marks what is wrong before anybody asks', async (page) => {
  await page.goto(`${base}/query`);
  await typeQuery(page, 'sum(up) by (job) !! 2');

  const mark = page.locator('.cm-lintRange-error').first();
  await mark.waitFor();
  const line = await mark.evaluate((element) => getComputedStyle(element).textDecorationStyle);
  check(line === 'wavy', `the mark is ${line}`);
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

test('what is typed before the editor is here is kept, with the caret, and Enter executes it', async (page) => {
  let letGo;
  const held = new Promise((done) => (letGo = done));
  await page.route('**/assets/editor-*.js', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${base}/query?g0.expr=up`);
  const plain = page.getByRole('textbox', { name: 'PromQL expression' });
  await plain.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('vector(7)');
  await page.keyboard.press('Enter');
  await page.locator('.result-row .value', { hasText: '7' }).waitFor();
  check(page.url().includes('vector'), 'the address lacks it');
  await page.keyboard.press('Home');
  letGo();
  await page.locator('.cm-editor.cm-focused').waitFor();
  await page.keyboard.type('1+');
  check((await page.locator('.cm-content').innerText()).trim() === '1+vector(7)', await page.locator('.cm-content').innerText());
});

test('a query far down the page is opened by the keyboard', async (page) => {
  const search = Array.from({ length: 12 }, (_, i) => `g${i}.expr=vector(${i})&g${i}.tab=graph`).join('&');
  await page.goto(`${base}/query?${search}`);
  await page.locator('.uplot').first().waitFor();
  check((await page.locator('.uplot').count()) < 12, 'all are drawn at once');

  await page.getByRole('button', { name: 'Open query: vector(11)' }).focus();

  const panel = page.locator('.panel').last();
  await panel.locator('.cm-editor.cm-focused').waitFor();
  await panel.locator('.uplot').waitFor();
});
