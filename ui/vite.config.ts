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

const SHARED = 'shared';

// All that `root` imports, and that imports: not what it fetches later.
function importsOf(root: string, getModuleInfo: (id: string) => { importedIds: readonly string[] } | null): Set<string> {
  const found = new Set([root]);
  for (const id of found) for (const next of getModuleInfo(id)?.importedIds ?? []) found.add(next);
  return found;
}

// Two chunks for every page: what src/start.ts needs, and what src/main.tsx needs beyond that.
let chunks: { early: Set<string>; shared: Set<string> } | null = null;
function chunkOf(id: string, { getModuleInfo }: { getModuleInfo: (id: string) => { importedIds: readonly string[] } | null }): string | undefined {
  const closure = (name: string) => importsOf(new URL('src/' + name, import.meta.url).pathname, getModuleInfo);
  chunks ??= { early: closure('start.ts'), shared: closure('main.tsx') };
  // The loader of chunks is Vite's own, and the first to be needed.
  if (chunks.early.has(id) || id.includes('vite/preload-helper')) return 'start';
  return chunks.shared.has(id) ? SHARED : undefined;
}

// The page begins with a small module (src/start.ts); what all pages share is fetched beside it.
const preloadShared: Plugin = {
  name: 'preload-shared',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler: (_, { bundle }) => {
      const shared = Object.values(bundle ?? {}).find((file) => file.type === 'chunk' && file.name === SHARED);
      if (!shared) throw new Error('there is no chunk of what the pages share');
      return [{ tag: 'link', attrs: { rel: 'modulepreload', href: './' + shared.fileName }, injectTo: 'head' as const }];
    },
  },
};

const backend = process.env['NARTHEX_URL'] ?? 'http://127.0.0.1:9090';

export default defineConfig({
  base: './',
  plugins: [developmentTokens, preloadShared],
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
        manualChunks: chunkOf,
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 60_000, hookTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
