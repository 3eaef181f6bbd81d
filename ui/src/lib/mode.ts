// SPDX-License-Identifier: Apache-2.0
// An agent scrapes and sends on, but keeps nothing that could be queried. The server says in index.html which it is.
export const isAgent = document.querySelector<HTMLMetaElement>('meta[name="narthex-mode"]')?.content === 'agent';

export const HOME = isAgent ? '/agent' : '/query';
