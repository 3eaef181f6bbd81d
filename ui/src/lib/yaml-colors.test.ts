// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { splitYamlLine } from './yaml-colors';

test.each([
  ['global:', ['key', 'mark']],
  ['  scrape_interval: 15s', ['mark', 'key', 'mark', 'number']],
  ['- job_name: node', ['mark', 'key', 'mark', 'text']],
  ['    - 127.0.0.1:9090', ['mark', 'text']],
  ['  regex: "a: b"', ['mark', 'key', 'mark', 'string']],
  ['# a comment: here', ['comment']],
  ['  honor_labels: true', ['mark', 'key', 'mark', 'number']],
  ['', []],
])('%j', (line, kinds) => {
  const parts = splitYamlLine(line);
  expect(parts.map(([kind]) => kind)).toEqual(kinds);
  expect(parts.map(([, text]) => text).join('')).toBe(line);
});
