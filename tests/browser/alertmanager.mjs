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

test('the way of an alert through the routes is drawn, with the reason at each', async (page) => {
  await fire();
  await page.goto(`${am}/#/alerts`);
  await page.locator('[data-alert]', { hasText: 'alertname="Down"' }).first().getByRole('link', { name: 'Why?' }).click();

  const state = (id) => page.locator(`[data-route='${id}']`).getAttribute('data-state');
  await page.locator('[data-taken="on-call"]').waitFor();
  check((await page.locator('[data-taken]').count()) === 1, 'more than one route takes the alert');
  const ids = await page.locator('[data-route]').evaluateAll((routes) => routes.map((route) => [route.dataset.route, route.dataset.state]));
  check(JSON.stringify(ids.map(([, one]) => one)) === '["matched","taken","off","off"]', `the routes are ${JSON.stringify(ids)}`);
  check((await state(ids[1][0])) === 'taken', 'no place for the route');
  await page.locator('.matcher-bad', { hasText: 'job=~"db|cache"' }).first().waitFor();
  // Its Slack message cannot be made: the template is wrong.
  const fault = page.locator('[data-taken="on-call"] .notice', { hasText: 'Last attempt failed' });
  for (let i = 0; i < 30 && (await fault.count()) === 0; i++) {
    await page.waitForTimeout(500);
    await page.reload();
    await page.locator('[data-taken="on-call"]').waitFor();
  }
  await fault.getByText('deeper').waitFor();
  await picture(page, 'alertmanager-routing');
  await page.getByLabel('Labels of an alert').fill('alertname="X", job="db", severity="page"');
  await page.keyboard.press('Enter');
  await page.getByText('No alert with these labels is held now').waitFor();
  await page.locator('[data-taken="database"]').waitFor();
  check(decodeURIComponent(page.url()).includes('job="db"'), `the address is ${page.url()}`);
  await page.getByLabel('Labels of an alert').fill('job=~"db"');
  await page.keyboard.press('Enter');
  await page.getByText('Labels are written name="value"').waitFor();
});

test('why an alert is held back is said: by which alert, by which silence', async (page) => {
  await fire();
  const now = Date.now();
  const made = await fetch(`${am}/api/v2/silences`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ matchers: [{ name: 'alertname', value: 'Slow', isRegex: false, isEqual: true }], startsAt: new Date(now - 1000), endsAt: new Date(now + 600_000), createdBy: 'night shift', comment: 'known to be slow' }),
  });
  const { silenceID } = await made.json();
  await page.goto(`${am}/#/routing?labels=${encodeURIComponent('{alertname="Slow", job="api", severity="warn"}')}`);

  await page.getByText('Inhibited by rule 1').waitFor();
  await page.getByRole('link', { name: 'known to be slow' }).waitFor();
  await page.getByText('Nothing is sent for this alert').waitFor();
  await fetch(`${am}/api/v2/silence/${silenceID}`, { method: 'DELETE' });
  await page.locator('.notice a', { hasText: 'alertname="Down"' }).click();
  await page.locator('[data-taken="on-call"]').waitFor();
});

test('a receiver shows what it is sent, what is wrong with it, and a template tried out', async (page) => {
  await fire();
  await page.goto(`${am}/#/receivers`);
  await page.getByRole('link', { name: 'database' }).click();

  await page.locator('[data-field="title"]', { hasText: 'FIRING: TestAlert' }).waitFor();
  await page.getByLabel('With the alerts of').selectOption({ label: '{alertname="Full", job="db"}, 1 alert' });
  await page.locator('[data-field="title"]', { hasText: 'FIRING: Full' }).waitFor();
  await page.getByLabel('Template', { exact: true }).fill('{{ len .Alerts }} of {{ .Receiver }}');
  await page.locator('output', { hasText: '1 of database' }).waitFor();
  await page.getByLabel('Template', { exact: true }).fill('{{ .Alerts }');
  await page.locator('output', { hasText: 'line 1, column' }).waitFor();
  await picture(page, 'alertmanager-receivers');
  await page.getByRole('link', { name: 'on-call' }).click();
  await page.locator('[data-field="title"] [role="alert"]', { hasText: 'line 1, column' }).waitFor();
});

test('a test notification is sent and its outcome told', async (page) => {
  await page.goto(`${am}/#/receivers?receiver=database`);
  await page.getByRole('button', { name: 'Send a test notification' }).click();
  await page.getByRole('button', { name: 'Send it' }).click();

  await page.locator('tr', { hasText: 'slack[0]' }).getByText('success').waitFor();
  await picture(page, 'alertmanager-test');
});

// Links as the original's pages and its notifications write them.
for (const [link, name, want] of [
  ['#/alerts', 'Alerts', '[data-alert]'],
  ['#/alerts?silenced=false&inhibited=true&muted=false&active=false', 'Alerts', '[data-alert] >> text=alertname="Slow"'],
  [`#/alerts?receiver=${encodeURIComponent('on-call')}`, 'Alerts', '[data-alert] >> text=alertname="Down"'],
  [`#/alerts?silenced=false&inhibited=false&muted=false&active=true&filter=${encodeURIComponent('{alertname="Full",job="db"}')}`, 'Alerts', '.filter-chip >> text=job="db"'],
  ['#/alerts?group=severity&customGrouping=true', 'Alerts', '.fold-head >> text=severity="page"'],
  ['#/silences', 'Silences', '[role="tab"]'],
  [`#/silences?filter=${encodeURIComponent('{alertname="Full"}')}`, 'Silences', '.filter-chip >> text=alertname="Full"'],
  [`#/silences/new?filter=${encodeURIComponent('{alertname="Full",job="db"}')}`, 'New silence', 'form'],
  [`#/silences/new?filter=${encodeURIComponent('{alertname="Full"}')}&comment=disk`, 'New silence', 'form'],
  ['#/status', 'Status', '.yaml'],
  ['#/', 'Alerts', '[data-alert]'],
])
  test(`the original's link ${decodeURIComponent(link)} has its page and state`, async (page) => {
    await fire();
    await page.goto(`${am}/${link}`);

    await page.getByRole('heading', { name, level: 1 }).waitFor();
    await page.locator(want).first().waitFor();
    if (link.includes('/new')) check((await page.locator('form input').evaluateAll((inputs) => inputs.map(({ value }) => value))).includes('Full'), 'the form lacks the matcher');
    if (link.includes('receiver=')) check((await page.locator('[data-alert]', { hasText: 'alertname="Full"' }).count()) === 0, 'not only those of the receiver');
  });

test('the status page shows the configuration in effect', async (page) => {
  await page.goto(`${am}/#/status`);

  await page.locator('.yaml-key', { hasText: 'inhibit_rules' }).first().waitFor();
  await picture(page, 'alertmanager-status');
});
