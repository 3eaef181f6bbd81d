// SPDX-License-Identifier: Apache-2.0
// What this document shows is said by the server in index.html: "server", "agent" or "alertmanager".
const mode = document.querySelector<HTMLMetaElement>('meta[name="narthex-mode"]')?.content;

export const isAlertmanager = mode === 'alertmanager';

// An agent scrapes and sends on, but keeps nothing that could be queried.
export const isAgent = mode === 'agent';

export const HOME = isAgent ? '/agent' : '/query';
