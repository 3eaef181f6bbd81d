// SPDX-License-Identifier: Apache-2.0
// Colours for the YAML that the server prints, which is plain enough to be read line by line.
export type YamlPart = readonly ['key' | 'mark' | 'text' | 'string' | 'number' | 'comment', string];

const LINE = /^(\s*(?:- )*)(?:([^\s:#"'][^:#]*|"[^"]*"|'[^']*')(:)(?=\s|$))?(.*)$/;

// The parts put together again are the line.
export function splitYamlLine(line: string): YamlPart[] {
  const match = LINE.exec(line);
  if (!match) return [['text', line]];
  const [, indent = '', key, colon, rest = ''] = match;
  const parts: YamlPart[] = [];
  if (indent) parts.push(['mark', indent]);
  if (key !== undefined) parts.push(['key', key]);
  if (colon) parts.push(['mark', colon]);
  if (rest) parts.push([valueKind(rest.trim()), rest]);
  return parts;
}

function valueKind(value: string): YamlPart[0] {
  if (value.startsWith('#')) return 'comment';
  if (/^["']/.test(value)) return 'string';
  if (/^-?[0-9][0-9.]*([a-zA-Z]{0,3})$|^(true|false|null)$/.test(value)) return 'number';
  return 'text';
}
