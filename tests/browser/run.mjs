// SPDX-License-Identifier: Apache-2.0
// Drives the web UI of a running server in a real Chromium and looks at what a user would see.
//
//   NARTHEX_URL   the server, with its route prefix if it has one; it must have scraped for a while
//   PREFIX_URL    another, below a prefix; AGENT_URL: one that runs as an agent
//   SCREENSHOTS   folder for pictures (optional)
//   CHROMIUM      the browser (default /usr/bin/chromium)
//   ONLY          a part of the names of the tests to run (default: all)
//   UP_TARGETS    "all" (default): each target must be up; a number: that many must be
//
// Needs `npm ci` in ui/. Ends with "N passed, N failed, 0 skipped"; exit code 1 if one failed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, chromium, picture, tests as every } from './kit.mjs';
import './query.mjs';
import './explore.mjs';
import './status.mjs';
import './rules.mjs';
import './alertmanager.mjs';
import './places.mjs';
import './a11y.mjs';
import './hostile.mjs';
import './budget.mjs';

const tests = every.filter(({ name }) => name.includes(process.env.ONLY ?? ''));

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

// What is meant to fail is answered with 400, 422 or 503, which the browser reports on its console too.
const isExpected = (text) => /the server responded with a status of (400|422|503)/.test(text);

async function runTest(context, { name, body }) {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
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
  } catch (error) {
    await picture(page, 'failed ' + name);
    throw error;
  } finally {
    // What one test chose is not the next one's.
    await page.evaluate(() => localStorage.clear()).catch(() => {});
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
