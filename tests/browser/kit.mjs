// SPDX-License-Identifier: Apache-2.0
// What the tests of every page share: the browser, the server's API, and a list that test() adds to.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../ui/package.json', import.meta.url));
export const { chromium } = require('playwright-core');

export const base = (process.env.NARTHEX_URL ?? '').replace(/\/+$/, '');
if (!base) {
  console.error('run.mjs: NARTHEX_URL must name a running server, for example http://127.0.0.1:9090');
  process.exit(2);
}
export const upTargets = process.env.UP_TARGETS ?? 'all';
const pictures = process.env.SCREENSHOTS;
if (pictures) mkdirSync(pictures, { recursive: true });

export const tests = [];
export const test = (name, body) => tests.push({ name, body });

export function check(condition, text) {
  if (!condition) throw new Error(text);
}

// What was measured is told whether it is good or not.
export const figure = (text) => console.log(`        ${text}`);

// How much longer than on the machine of the budgets things take now: as many times as processes want each core, or as a reckoning of
// 22 ms takes in the page, whichever is more. 1 on such a machine that does nothing else.
export async function slowness(page) {
  const ms = await page.evaluate(() => {
    const times = Array.from({ length: 7 }, () => {
      const begun = performance.now();
      let sum = 0;
      for (let i = 0; i < 1e6; i++) sum += Math.sin(i);
      return sum === 0 ? 0 : performance.now() - begun;
    });
    return times.sort((a, b) => a - b)[3];
  });
  return Math.max(1, loadavg()[0] / cpus().length, ms / 22);
}

export async function api(path) {
  const response = await fetch(`${base}/api/v1/${path}`);
  const answer = await response.json();
  check(answer.status === 'success', `${path}: ${answer.error}`);
  return answer.data;
}

// In both colour schemes, unless the page was given one.
export async function picture(page, name) {
  if (!pictures) return;
  await page.screenshot({ path: join(pictures, name + '.png') });
  if (await page.evaluate(() => localStorage.getItem('narthex-color-scheme'))) return;
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.waitForTimeout(300); // a graph is drawn anew
  await page.screenshot({ path: join(pictures, name + '-dark.png') });
  await page.emulateMedia({ colorScheme: 'light' });
}

export async function typeQuery(page, text) {
  const editor = page.locator('.cm-content').first();
  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.type(text);
  // An open list of completions would take the next key for itself.
  await page.keyboard.press('Escape');
}

export const execute = (page) => page.getByRole('button', { name: 'Execute' }).first().click();

// Waits until the first uPlot canvas has pixels that are neither clear nor grey: the lines of the series.
export async function waitForLines(page) {
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

// Results that the server at hand may not have to give: the page gets them in its place.
export function answerWith(page, path, data, more = {}) {
  return page.route(`**/api/v1/${path}`, (route) => route.fulfill({ json: { status: 'success', data, ...more } }));
}
