// SPDX-License-Identifier: Apache-2.0
// The colours that the user chose. Mantine keeps and applies the choice; this is for the time before it is there.
export const SCHEME_KEY = 'narthex-color-scheme';

export function applyStoredColorScheme(): void {
  const stored = storedScheme();
  const isDark = stored === 'dark' || (stored !== 'light' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', isDark ? 'dark' : 'light');
}

function storedScheme(): string | null {
  try {
    return localStorage.getItem(SCHEME_KEY);
  } catch {
    return null; // storage may be forbidden
  }
}
