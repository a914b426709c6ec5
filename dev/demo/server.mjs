// Serves the demo's pages and its one endpoint, as an app's own server would.
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesBelow, unlessFresh } from '../../scripts/lib/stamp.mjs'
import { postSystemMessage } from './lib/system-messages.mjs'
import { createMessagesTable, takeMessage } from './lib/ways.mjs'

const HERE = 'dev/demo'
const here = fileURLToPath(new URL('.', import.meta.url))
const dist = join(here, 'dist')

const PAGES = ['/', '/operator', '/client']
const TYPES = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** Bundles the pages with the built package, unless that was done before. */
async function bundle() {
  const files = [
    'package-lock.json', 'tsconfig.json', `${HERE}/index.html`, `${HERE}/tsconfig.json`, `${HERE}/vite.config.mjs`,
    ...filesBelow(`${HERE}/app`), ...filesBelow('pkg'),
  ]
  await unlessFresh(`${HERE}/dist`, { files, variant: 'production' }, async () => {
    const { build } = await import('vite')
    await build({ configFile: join(here, 'vite.config.mjs') })
  })
}

/** The page with the addresses and the demo's users written into it. */
async function pageFor({ url, apiKey, users }, source) {
  const user = ({ id, email, password }) => ({ id, email, password })
  const demo = { url, apiKey, users: { operator: user(users.operator), client: user(users.client) }, source }
  const html = await readFile(join(dist, 'index.html'), 'utf8')
  const json = JSON.stringify(demo).replaceAll('<', '\\u003c')
  return html.replace(/(<script type="application\/json" id="demo">)(<\/script>)/, (_, open, close) => open + json + close)
}

/** What these pages may do, and no more: the package has to live with that. */
function policyFor({ url }) {
  const socket = url.replace(/^http/, 'ws')
  return `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; connect-src 'self' ${url} ${socket}; frame-ancestors 'self'`
}

const SOURCES = {
  managed: undefined,
  table: { kind: 'table' },
  endpoint: { kind: 'endpoint', url: '/api/messages' },
}

async function postMessage(stack, request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const { authorization, 'idempotency-key': key } = request.headers
  return takeMessage(stack, { authorization, key, message: JSON.parse(Buffer.concat(chunks).toString()) })
}

function reply(response, status, headers, body) {
  response.writeHead(status, { 'x-content-type-options': 'nosniff', ...headers }).end(body)
}

async function serveAsset(pathname, response) {
  const path = join(dist, normalize(pathname))
  const type = TYPES[extname(path)]
  const found = type && path.startsWith(dist) && (await stat(path).catch(() => null))
  if (!found?.isFile()) return reply(response, 404, { 'content-type': 'text/plain' }, 'not found')
  response.writeHead(200, {
    'content-type': type,
    'content-length': found.size,
    'cache-control': 'public, max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
  })
  createReadStream(path).on('error', () => response.destroy()).pipe(response)
}

/** Builds the pages if need be and serves them: `{url, stop()}`. `way` is one of `SOURCES`. */
export async function startDemo({ stack, port = 0, way = 'managed' }) {
  await bundle()
  if (way === 'table') await createMessagesTable(stack)
  const page = await pageFor(stack, SOURCES[way])
  const pageHeaders = {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': policyFor(stack),
  }

  async function serve(request, response) {
    const { pathname } = new URL(request.url, 'http://localhost')
    const api = { '/api/messages/system': postSystemMessage, ...(way === 'endpoint' && { '/api/messages': postMessage }) }[pathname]
    if (api && (request.method === 'POST' || api === postSystemMessage)) {
      const { status, body } = await api(stack, request, way)
      return reply(response, status, { 'content-type': 'application/json' }, JSON.stringify(body))
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, {}, '')
    if (PAGES.includes(pathname)) return reply(response, 200, pageHeaders, page)
    return serveAsset(pathname, response)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error) => {
      console.error(error)
      response.destroy()
    })
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
