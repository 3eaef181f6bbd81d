// SPDX-License-Identifier: Apache-2.0
// What the user prefers, kept in this browser. The keys are those that Prometheus' UI uses.
import { useSyncExternalStore } from 'react';

export interface Settings {
  useLocalTime: boolean;
  enableQueryHistory: boolean;
  enableAutocomplete: boolean;
  enableSyntaxHighlighting: boolean;
  enableLinter: boolean;
  showQueryWarnings: boolean;
  showQueryInfoNotices: boolean;
  showAnnotations: boolean;
  alertGroupsPerPage: number;
  ruleGroupsPerPage: number;
}

type NamesOf<T> = { [K in keyof Settings]: Settings[K] extends T ? K : never }[keyof Settings];
export type SwitchName = NamesOf<boolean>;
export type NumberName = NamesOf<number>;

export const PER_PAGE_MAX = 2000;

const DEFAULTS: Settings = {
  useLocalTime: false,
  enableQueryHistory: true,
  enableAutocomplete: true,
  enableSyntaxHighlighting: true,
  enableLinter: true,
  showQueryWarnings: true,
  showQueryInfoNotices: true,
  showAnnotations: true,
  alertGroupsPerPage: 50,
  ruleGroupsPerPage: 50,
};

const HISTORY_MAX = 50;
const HISTORY_KEY = 'history';

// Storage may be forbidden; then a setting lasts as long as the page.
function read(key: string): unknown {
  try {
    const text = localStorage.getItem(key);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing is lost but the memory of it.
  }
}

// Storage can hold anything.
function isFit(usual: boolean | number, value: unknown): boolean {
  if (typeof usual === 'boolean') return typeof value === 'boolean';
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= PER_PAGE_MAX;
}

function load(): Settings {
  const stored = Object.keys(DEFAULTS).flatMap((name) => {
    const value = read('settings.' + name);
    return isFit(DEFAULTS[name as keyof Settings], value) ? [[name, value]] : [];
  });
  return { ...DEFAULTS, ...(Object.fromEntries(stored) as Partial<Settings>) };
}

let current = load();
const listeners = new Set<() => void>();

// What is not fit is not taken.
export function setSetting<K extends keyof Settings>(name: K, value: Settings[K]): void {
  if (!isFit(DEFAULTS[name], value)) return;
  current = { ...current, [name]: value };
  write('settings.' + name, value);
  for (const listener of listeners) listener();
}

export function useSettings(): Settings {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

const CREATOR_KEY = 'silences.creator';

// Who creates silences in this browser.
export function recallCreator(): string {
  const value = read(CREATOR_KEY);
  return typeof value === 'string' ? value : '';
}

export function rememberCreator(name: string): void {
  write(CREATOR_KEY, name);
}

export function queryHistory(): string[] {
  const value = read(HISTORY_KEY);
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

export function rememberQuery(expr: string): void {
  if (!current.enableQueryHistory || expr.trim() === '' || expr.length > 10_000) return;
  write(HISTORY_KEY, [expr, ...queryHistory().filter((old) => old !== expr)].slice(0, HISTORY_MAX));
}
