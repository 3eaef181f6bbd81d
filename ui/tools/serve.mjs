// SPDX-License-Identifier: Apache-2.0
// Serves ui/dist as the program does (src/ui/ui_assets.h: tokens, policy, brotli) and passes the API on to
// a running server, so that the UI can be tried without building the program.
// Usage: node tools/serve.mjs [--port 5180] [--prefix /some/path] [--backend http://127.0.0.1:9090] [--mode server|agent|alertmanager]
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '5180' },
    prefix: { type: 'string', default: '' },
    backend: { type: 'string', default: 'http://127.0.0.1:9090' },
    mode: { type: 'string', default: 'server' },
  },
});
const { prefix } = values;
const backend = new URL(values.backend);
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const header = readFileSync(join(dist, '../../src/ui/ui_assets.h'), 'utf8');
const policy = [...header.matchAll(/^#define UI_CSP((?:.*\\\n)*.*)/gm)][0][1]
  .match(/"[^"]*"/g)
  .map((part) => part.slice(1, -1))
  .join('');
const types = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

function serveIndex(response) {
  const html = readFileSync(join(dist, 'index.html'), 'utf8')
    .replaceAll('{{path_prefix}}', prefix)
    .replaceAll('{{page_title}}', 'narthex')
    .replaceAll('{{mode}}', values.mode);
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy });
  response.end(html);
}

function serveFile(path, incoming, response) {
  const brotli = String(incoming.headers['accept-encoding']).includes('br') && existsSync(path + '.br');
  response.writeHead(200, {
    'content-type': types[extname(path)] ?? 'application/octet-stream',
    ...(brotli ? { 'content-encoding': 'br' } : {}),
  });
  createReadStream(brotli ? path + '.br' : path).pipe(response);
}

function passOn(path, incoming, response) {
  const outgoing = request(
    { host: backend.hostname, port: backend.port, path, method: incoming.method, headers: incoming.headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  outgoing.on('error', (error) => response.writeHead(502).end(String(error)));
  incoming.pipe(outgoing);
}

createServer((incoming, response) => {
  const url = incoming.url ?? '/';
  if (!url.startsWith(prefix + '/')) return response.writeHead(404).end('outside the prefix');
  const path = url.slice(prefix.length);
  const name = path.split('?', 1)[0];
  if (/^\/(api|-|metrics)(\/|$)/.test(name)) return passOn(path, incoming, response);
  if (name === '/' || name === '/graph') {
    const query = path.slice(name.length);
    return response.writeHead(302, { location: `${prefix}/query${query}` }).end();
  }
  const file = join(dist, normalize(name));
  if (file.startsWith(dist) && existsSync(file) && statSync(file).isFile()) return serveFile(file, incoming, response);
  return serveIndex(response);
}).listen(Number(values.port), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${values.port}${prefix}/query -> ${values.backend}`),
);
