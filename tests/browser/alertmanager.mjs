// SPDX-License-Identifier: Apache-2.0
// The Alertmanager's pages, against the one in the server's own process.
import { base, check, picture, test } from './kit.mjs';

const am = `${base}/alertmanager`;
const HOSTILE = '<img src=x onerror="document.title=1">';

async function send(alerts) {
  const response = await fetch(`${am}/api/v2/alerts`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(alerts) });
  check(response.ok, `the Alertmanager answers ${response.status}: ${await response.text()}`);
}

async function get(path) {
  const response = await fetch(`${am}/api/v2/${path}`);
  check(response.ok, `${path}: ${response.status}`);
  return response.json();
}

// Two that fire, of which the page inhibits the warning (serve.py says so in the configuration).
async function fire() {
  await send([
    { labels: { alertname: 'Down', job: 'api', severity: 'page' }, annotations: { summary: HOSTILE, runbook: 'https://example.org/x', odd: 'javascript:alert(1)' } },
    { labels: { alertname: 'Slow', job: 'api', severity: 'warn' }, annotations: { summary: 'slow' } },
    { labels: { alertname: 'Full', job: 'db', severity: 'warn' } },
  ]);
}

test('alerts are shown in their groups, those held back on demand and with the reason', async (page) => {
  await fire();
  await page.goto(`${base}/query`);
  await page.getByRole('link', { name: 'Alertmanager' }).click();

  await page.locator('[data-alert]', { hasText: 'alertname="Down"' }).waitFor();
  check((await page.locator('[data-alert]', { hasText: 'alertname="Slow"' }).count()) === 0, 'an inhibited alert is shown');
  check((await page.title()) !== '1' && (await page.locator('#root img').count()) === 0, 'an annotation was run');
  check((await page.locator('a[href^="javascript"]').count()) === 0, 'an annotation became a link that runs');
  check((await page.getByRole('link', { name: 'https://example.org/x' }).count()) === 1, 'a web address is no link');
  await page.getByRole('switch', { name: 'Inhibited' }).click();
  const slow = page.locator('[data-alert]', { hasText: 'alertname="Slow"' });
  await slow.getByRole('button', { name: 'Show' }).click();
  await slow.getByText('severity="page"').waitFor();
  await picture(page, 'alertmanager-alerts');
});

test('a click on a label filters, and the address holds the filter', async (page) => {
  await fire();
  await page.goto(`${am}/#/alerts`);
  await page.locator('[data-alert] .label-pair', { hasText: 'job="db"' }).first().click();

  await page.locator('[data-alert]', { hasText: 'Down' }).waitFor({ state: 'detached' });
  check(decodeURIComponent(page.url()).includes('filter={job="db"}'), `the address is ${page.url()}`);
  await page.getByRole('button', { name: 'Remove job="db"' }).click();
  await page.locator('[data-alert]', { hasText: 'Down' }).waitFor();
});

test('alerts are grouped by other labels on demand', async (page) => {
  await fire();
  await page.goto(`${am}/#/alerts?customGrouping=true&group=severity`);

  await page.locator('.fold-head', { hasText: 'severity="warn"' }).waitFor();
  check((await page.locator('.fold').count()) === 2, 'not two groups');
});

test('a silence is made from an alert, shows what it holds back, is changed and expired', async (page) => {
  await fire();
  await page.goto(`${am}/#/alerts`);
  await page.locator('[data-alert]', { hasText: 'alertname="Full"' }).getByRole('link', { name: 'Silence' }).click();
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByText('The comment is missing.').waitFor();
  await page.getByRole('button', { name: 'Preview alerts' }).click();
  await page.getByText('1 alert would be held back now').waitFor();
  await page.getByLabel('Created by').fill('a tester');
  await page.getByLabel('Comment').fill('disk is being changed');
  await page.getByLabel('Duration').fill('45m');
  await picture(page, 'alertmanager-silence-new');
  await page.getByRole('button', { name: 'Create' }).click();

  await page.getByRole('heading', { name: 'Silence' }).waitFor();
  await page.getByText('suppressed').waitFor();
  const [silence] = (await get('silences')).filter((one) => one.status.state === 'active');
  check(silence.comment === 'disk is being changed' && silence.createdBy === 'a tester', 'not what was typed');
  check(Date.parse(silence.endsAt) - Date.parse(silence.startsAt) <= 2_700_000, 'not 45 minutes');
  await picture(page, 'alertmanager-silence');
  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByLabel('Comment').fill('disk was changed');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('disk was changed').waitFor();
  await page.getByRole('button', { name: 'Expire' }).click();
  await page.getByRole('button', { name: 'Yes, expire it' }).click();
  await page.getByRole('link', { name: 'Recreate' }).waitFor();
  await page.goto(`${am}/#/silences?state=expired`);
  await page.locator('[data-silence]', { hasText: 'disk was changed' }).waitFor();
  check((await get('silences')).every((one) => one.status.state === 'expired'), 'a silence is still active');
});

test('a silence is made with the keyboard alone', async (page) => {
  await page.goto(`${am}/#/silences/new?filter=${encodeURIComponent('{alertname="Keys"}')}`);
  await page.getByLabel('Created by').waitFor();
  const focusOn = async (name) => {
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      const here = await page.evaluate(() => {
        const element = document.activeElement;
        return element?.getAttribute('aria-label') ?? element?.labels?.[0]?.textContent ?? element?.textContent ?? '';
      });
      if (here.trim() === name) return;
    }
    throw new Error(`Tab does not reach "${name}"`);
  };
  await focusOn('Created by');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('keys');
  await focusOn('Comment');
  await page.keyboard.type('typed');
  await focusOn('Create');
  await page.keyboard.press('Enter');

  await page.getByRole('heading', { name: 'Silence' }).waitFor();
  const [silence] = (await get(`silences?filter=${encodeURIComponent('alertname="Keys"')}`)).filter((one) => one.status.state === 'active');
  check(silence.comment === 'typed', 'not what was typed');
  await fetch(`${am}/api/v2/silence/${silence.id}`, { method: 'DELETE' });
});

test('the status page shows the configuration in effect', async (page) => {
  await page.goto(`${am}/#/status`);

  await page.locator('.yaml-key', { hasText: 'inhibit_rules' }).first().waitFor();
  await picture(page, 'alertmanager-status');
});
