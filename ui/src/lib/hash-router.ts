// SPDX-License-Identifier: Apache-2.0
// The part of the address behind "#" as a store. Alertmanager's links have their page and parameters there
// (#/alerts?filter=...), and so do those in its notifications.
import { useSyncExternalStore } from 'react';

export interface HashPlace {
  path: string; // "/alerts"
  params: URLSearchParams;
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener);
  return () => window.removeEventListener('hashchange', listener);
}

export function parseHash(hash: string): HashPlace {
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  return { path: path.replace(/\/+$/, '') || '/', params: new URLSearchParams(query) };
}

export function useHash(): HashPlace {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return parseHash(hash);
}

export function hashHref(path: string, params?: Record<string, string>): string {
  const query = new URLSearchParams(params).toString();
  return '#' + path + (query ? '?' + query : '');
}

// Puts parameters into the address of the current page; null takes one out.
export function setHashParams(changes: Record<string, string | null>): void {
  const { path, params } = parseHash(window.location.hash);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  window.location.replace('#' + path + (query ? '?' + query : ''));
}
