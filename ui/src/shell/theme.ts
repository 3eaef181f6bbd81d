// SPDX-License-Identifier: Apache-2.0
import { createTheme, localStorageColorSchemeManager, type MantineColorsTuple } from '@mantine/core';
import { SCHEME_KEY } from '../lib/color-scheme';

// The colour of the fire that the stalk carried.
const ember: MantineColorsTuple = [
  '#fff1ea', '#fbdfd3', '#f3bca5', '#eb9774', '#e4774b', '#e06331', '#c64e1e', '#b4431f', '#963619', '#7a2b13',
];

// The greys of a dark page, from text to the deepest ground; app.css has the same ones.
const dark: MantineColorsTuple = [
  '#dfe2e6', '#b8bdc4', '#949aa3', '#6d737c', '#3f454d', '#31363c', '#1d2024', '#1a1d20', '#16181b', '#121416',
];

export const colorSchemeManager = localStorageColorSchemeManager({ key: SCHEME_KEY });

export const theme = createTheme({
  primaryColor: 'ember',
  primaryShade: { light: 7, dark: 6 },
  colors: { ember, dark },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace',
  fontSizes: { xs: '0.72rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
});
