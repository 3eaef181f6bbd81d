// SPDX-License-Identifier: Apache-2.0
// The address bar as a store: which page below the route prefix, and its search part.
import { useSyncExternalStore } from 'react';
import { basePath } from './base-path';
import { currentPath } from './place';

const listeners = new Set<() => void>();

function notify(): void {
  for (const listener of listeners) listener();
}

window.addEventListener('popstate', notify);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// "/query", "/targets", ...
export function usePath(): string {
  return useSyncExternalStore(subscribe, currentPath);
}

export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => window.location.search);
}

// `path` is below the prefix and may have a search part.
export function href(path: string): string {
  return basePath + path;
}

export function navigate(path: string, mode: 'push' | 'replace' = 'push'): void {
  const url = href(path);
  if (url === window.location.pathname + window.location.search) return;
  if (mode === 'push') window.history.pushState(null, '', url);
  else window.history.replaceState(null, '', url);
  notify();
}

// Puts one parameter of this page into the address, once for each of several values; null takes it out. Another filter
// begins at the first page of what it leaves.
export function setSearchParam(name: string, value: string | readonly string[] | null): void {
  const params = new URLSearchParams(window.location.search);
  params.delete(name);
  params.delete('page');
  for (const one of typeof value === 'string' ? [value] : (value ?? [])) params.append(name, one);
  const text = params.toString();
  navigate(currentPath() + (text ? '?' + text : ''), 'replace');
}
