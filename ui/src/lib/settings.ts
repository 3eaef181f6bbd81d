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
}

const DEFAULTS: Settings = {
  useLocalTime: false,
  enableQueryHistory: true,
  enableAutocomplete: true,
  enableSyntaxHighlighting: true,
  enableLinter: true,
  showQueryWarnings: true,
  showQueryInfoNotices: true,
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

function load(): Settings {
  const settings = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    const value = read('settings.' + name);
    if (typeof value === 'boolean') settings[name] = value;
  }
  return settings;
}

let current = load();
const listeners = new Set<() => void>();

export function setSetting(name: keyof Settings, value: boolean): void {
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
