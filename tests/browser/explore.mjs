// SPDX-License-Identifier: Apache-2.0
// The query page's ways to understand a query: tree, explanation, metrics, heatmap, exemplars.
import { answerWith, base, check, execute, picture, test, typeQuery, waitForLines } from './kit.mjs';

const link = (expr, more = '') => `${base}/query?g0.expr=${encodeURIComponent(expr)}${more}`;

test('the tree counts what comes out of each part, and a click runs that part', async (page) => {
  await page.goto(link('sum by (job) (up) + on (job) count by (job) (up)', '&g0.show_tree=1'));

  await page.locator('.tree-line', { hasText: '+ on (job)' }).getByText(/^\d+ series$/).waitFor();
  check((await page.getByRole('treeitem').count()) === 5, 'not five parts');
  await page.getByRole('treeitem', { name: 'up' }).first().click();

  await page.getByText('Shown is a part of the query').waitFor();
  await page.locator('.result-row', { hasText: 'up{' }).first().waitFor();
  check((await page.locator('.cm-content').innerText()).startsWith('sum by'), 'the query itself was changed');
  await picture(page, 'query-tree');
  await page.getByRole('button', { name: 'Show the whole' }).click();
  await page.locator('.result-row', { hasText: 'up{' }).first().waitFor({ state: 'detached' });
});

test('a part that fails is told, and those above it are not run', async (page) => {
  await page.goto(link('up + on () scrape_duration_seconds{job="x"} + up * on () {__name__=~".+"}', '&g0.show_tree=1'));

  await page.locator('.tree-error').first().waitFor();
  await page.getByText('not run: a part of it failed').first().waitFor();
});

test('the explanation of an operator shows which series meet', async (page) => {
  await page.goto(link('up / on (job) group_left () count by (job) (up)', '&g0.tab=explain'));

  await page.getByText('Divides the values of each pair of series.').waitFor();
  await page.getByText(/groups? with a result, 0 without, 0 with an error/).waitFor();
  check((await page.locator('.match tbody tr').count()) > 0, 'no group is shown');
  await picture(page, 'query-explain');
});

test('the explanation of a selector tells what the metric is', async (page) => {
  await page.goto(link('process_cpu_seconds_total', '&g0.tab=explain'));

  await page.getByText('user and system CPU time').first().waitFor();
  await page.getByText('rate(process_cpu_seconds_total[5m])').waitFor();
});

test('a query is written anew in the common form', async (page) => {
  await page.goto(`${base}/query`);
  await typeQuery(page, 'sum(up)by(job)');

  await page.getByRole('button', { name: 'Format query' }).click();

  await page.locator('.cm-content', { hasText: 'sum by (job) (up)' }).waitFor();
});

test('metrics are found by words of their help, opened, and put into the query', async (page) => {
  await page.goto(`${base}/query`);
  await page.getByRole('button', { name: 'Browse metrics' }).click();

  await page.getByPlaceholder('Words of a name or its help').fill('resident memory');
  await page.getByRole('button', { name: 'process_resident_memory_bytes', exact: true }).click();
  await page.getByText('instance', { exact: true }).waitFor();
  await picture(page, 'query-metrics');
  await page.getByRole('button', { name: /^Insert job=/ }).first().click();

  await page.locator('.cm-content', { hasText: /^process_resident_memory_bytes\{job="/ }).waitFor();
  await execute(page);
  await page.locator('.result-row').first().waitFor();
});

test('a classic histogram is drawn as a heatmap', async (page) => {
  const expr = 'sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m]))';
  await page.goto(link(expr, '&g0.tab=graph&g0.range_input=5m'));
  await page.getByText('Heatmap', { exact: true }).click();

  await page.getByRole('img', { name: 'Heatmap of histogram buckets' }).waitFor();
  await waitForLines(page);
  check(page.url().includes('g0.display_mode=heatmap'), 'the address lacks the display');
  await picture(page, 'query-heatmap');
});

test('exemplars are marked in the graph, and their labels are text', async (page) => {
  const hostile = '<img src=x onerror="document.title=1">';
  const time = Date.now() / 1000 - 60;
  await answerWith(page, 'query_exemplars', [
    { seriesLabels: { __name__: 'up' }, exemplars: [{ labels: { trace_id: hostile }, value: '0.7', timestamp: time }] },
  ]);
  await page.goto(link('up', '&g0.tab=graph&g0.range_input=5m&g0.show_exemplars=1'));

  await page.locator('.exemplar').hover();
  await page.locator('.exemplar-note', { hasText: `trace_id: ${hostile}` }).waitFor();
  check((await page.title()) !== '1' && (await page.locator('.page img').count()) === 0, 'markup of a label was run');
  await picture(page, 'query-exemplars');
});

test('what a query cost is shown on its time', async (page) => {
  await page.goto(link('up'));
  await page.locator('.took-text').hover();

  await page.getByRole('tooltip').getByText('samples read').waitFor();
});

test('a browser whose clock is wrong is told', async (page) => {
  await page.addInitScript(() => {
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
  });
  await page.goto(`${base}/query`);

  await page.getByText(/clock of this browser is .* ahead of the server/).waitFor();
});
