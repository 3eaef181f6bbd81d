// SPDX-License-Identifier: Apache-2.0
// The Vite 6 line is used because it still runs on Node 18, which Debian 12 has. package.json holds Rollup at
// 4.60.4: later ones lack some of their platform packages, and npm 11 refuses a lock file with such holes.
import { defineConfig, type Plugin } from 'vite';

// The program replaces these when it serves index.html (src/api/ui_assets.h); the development server
// has to do the same.
const developmentTokens: Plugin = {
  name: 'development-tokens',
  apply: 'serve',
  transformIndexHtml: (html) =>
    html
      .replaceAll('{{path_prefix}}', '')
      .replaceAll('{{page_title}}', 'narthex (development)')
      .replaceAll('{{mode}}', 'server'),
};

const backend = process.env['NARTHEX_URL'] ?? 'http://127.0.0.1:9090';

export default defineConfig({
  base: './',
  plugins: [developmentTokens],
  esbuild: { jsx: 'automatic', legalComments: 'none' },
  server: { host: '127.0.0.1', proxy: { '/api': backend, '/-/': backend } },
  build: {
    target: 'es2022',
    // A data: URI would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
    rollupOptions: {
      // Mantine marks its modules for servers that render React; there is none here.
      onwarn: (warning, warn) => {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0]);
