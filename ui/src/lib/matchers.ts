// SPDX-License-Identifier: Apache-2.0
// Matchers of Alertmanager as text: {alertname="Down", instance=~"a.*"}, with or without the braces.
import { labelName, type Labels, quote } from './labels';

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export const OPERATORS = ['=', '!=', '=~', '!~'] as const;
export type Operator = (typeof OPERATORS)[number];

export function operatorOf(matcher: Pick<Matcher, 'isRegex' | 'isEqual'>): Operator {
  if (matcher.isRegex) return matcher.isEqual ? '=~' : '!~';
  return matcher.isEqual ? '=' : '!=';
}

export function matcherOf(name: string, operator: Operator, value: string): Matcher {
  return { name, value, isRegex: operator === '=~' || operator === '!~', isEqual: operator === '=' || operator === '=~' };
}

export function matcherText(matcher: Matcher): string {
  return `${labelName(matcher.name)}${operatorOf(matcher)}${quote(matcher.value)}`;
}

export function matchersText(matchers: readonly Matcher[]): string {
  return `{${matchers.map(matcherText).join(', ')}}`;
}

export function matchersOf(labels: Labels): Matcher[] {
  return Object.entries(labels).map(([name, value]) => matcherOf(name, '=', value));
}

const ESCAPES: Record<string, string> = { n: '\n', '"': '"', '\\': '\\' };
const unquote = (text: string): string => text.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? `\\${letter}`);

const QUOTED = String.raw`"((?:[^"\\]|\\.)*)"`;
const ONE = new RegExp(String.raw`^\s*(?:${QUOTED}|([^\s"{}=!~,]+))\s*(=~|!~|!=|=)\s*(?:${QUOTED}|([^\s"{},]*))\s*`);

// Null if the text is no list of matchers; the empty text and "{}" are the empty list.
export function parseMatchers(text: string): Matcher[] | null {
  let rest = text.trim();
  if (rest.startsWith('{')) {
    if (!rest.endsWith('}')) return null;
    rest = rest.slice(1, -1);
  }
  const matchers: Matcher[] = [];
  while (rest.trim() !== '') {
    const match = ONE.exec(rest);
    if (!match) return null;
    const [whole, quotedName, plainName, operator, quotedValue, plainValue] = match;
    const name = quotedName === undefined ? (plainName ?? '') : unquote(quotedName);
    if (name === '') return null;
    matchers.push(matcherOf(name, operator as Operator, quotedValue === undefined ? (plainValue ?? '') : unquote(quotedValue)));
    rest = rest.slice(whole.length);
    if (rest === '') break;
    if (!rest.startsWith(',')) return null;
    rest = rest.slice(1);
  }
  return matchers;
}
