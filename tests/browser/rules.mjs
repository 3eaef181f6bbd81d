// SPDX-License-Identifier: Apache-2.0
import { answerWith, base, check, picture, test } from './kit.mjs';

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

test('the settings choose whether annotations are shown and how many groups a page has', async (page) => {
  const groups = Array.from({ length: 25 }, (_, i) => group(`g${i}`, [{ ...FIRING, name: `Down${i}`, line: i + 1 }]));
  await answerWith(page, 'rules?*', { groups });
  await page.goto(`${base}/alerts`);
  await page.locator('[data-rule="Down24"]').waitFor();
  check((await page.locator('.annotations').count()) > 0, 'annotations are not shown at first');

  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Show annotations').uncheck();
  await page.getByLabel('Groups on a page of alerts').fill('10');
  await picture(page, 'settings');
  await page.keyboard.press('Escape');

  check((await page.locator('.annotations').count()) === 0, 'annotations are still shown');
  check((await page.locator('[data-rule]').count()) === 10, `${await page.locator('[data-rule]').count()} groups`);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('Page 2 of 3, 25 groups').waitFor();
  await page.locator('[data-rule="Down10"]').waitFor();
  await page.reload();
  await page.getByText('/etc/rules.yml:11').waitFor();
  check((await page.locator('[data-rule]').count()) === 10 && page.url().includes('page=2'), 'the page is forgotten');
  await page.goto(`${base}/rules`);
  await page.locator('[data-rule="Down24"]').getByText('rules.yml:25').waitFor();
  check((await page.locator('.annotations').count()) === 0, 'the rules page shows annotations');
});

test('several states are chosen at once, as a link of the original may do', async (page) => {
  const pending = { ...FIRING, name: 'Slow', state: 'pending' };
  await answerWith(page, 'rules?*', { groups: [group('machines', [FIRING, QUIET, pending])] });
  await page.goto(`${base}/alerts?state=firing&state=pending`);

  await page.locator('[data-rule="Slow"]').waitFor();
  check((await page.locator('[data-rule]').count()) === 2, 'not those two');
  await page.getByRole('button', { name: /^pending 1/ }).click();
  await page.locator('[data-rule="Slow"]').waitFor({ state: 'detached' });
  check((await page.locator('[data-rule="Down"]').count()) === 1 && page.url().endsWith('?state=firing'), `left is ${page.url()}`);
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
