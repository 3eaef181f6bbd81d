// SPDX-License-Identifier: Apache-2.0
// After `vite build`: writes X.br beside each file X of the folder, prints what the UI weighs and fails
// if it weighs more than it may. Usage: node tools/pack.mjs dist
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const INITIAL_GZIP_BYTES_MAX = 250_000;
const TOTAL_BROTLI_BYTES_MAX = 700_000;

const dist = process.argv[2];
if (!dist) throw new Error('usage: node tools/pack.mjs DIST');

function filesBelow(folder, prefix = '') {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix + entry.name;
    return entry.isDirectory() ? filesBelow(folder, path + '/') : [path];
  });
}

function brotli(bytes) {
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 22,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

const paths = filesBelow(dist).filter((path) => !path.endsWith('.br'));
const index = readFileSync(join(dist, 'index.html'), 'utf8');

let initial = 0;
let total = 0;
for (const path of paths.sort()) {
  const bytes = readFileSync(join(dist, path));
  const small = brotli(bytes);
  const gzip = gzipSync(bytes, { level: 9 }).length;
  // What index.html names is loaded before anything shows.
  const isInitial = path === 'index.html' || index.includes(path);
  total += small.length;
  if (isInitial) initial += gzip;
  rmSync(join(dist, path + '.br'), { force: true });
  if (path !== 'index.html') writeFileSync(join(dist, path + '.br'), small);
  const row = [bytes.length, gzip, small.length].map((n) => String(n).padStart(9)).join(' ');
  console.log(`${row}  ${path}${isInitial ? '  (initial)' : ''}`);
}
console.log('      raw      gzip    brotli');
console.log(`initial: ${initial} bytes gzip of at most ${INITIAL_GZIP_BYTES_MAX}`);
console.log(`total:   ${total} bytes brotli of at most ${TOTAL_BROTLI_BYTES_MAX}`);
if (initial > INITIAL_GZIP_BYTES_MAX || total > TOTAL_BROTLI_BYTES_MAX) {
  console.error('pack: the UI weighs more than it may');
  process.exit(1);
}
