import { setMaxListeners } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { projectKey } from './keys.mjs'

const KEYS = new Set([projectKey('anon'), projectKey('service_role')])

// What PostgREST exposes; lite hides the server's date.
const EXPOSED = 'Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit'

const NO_ROUTE = { message: 'no Route matched with those values' }

async function bodyOf(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What Supabase's gateway does with the key; without an Authorization header the key itself is the token. */
function keyProblem(url, headers) {
  const key = headers.get('apikey') ?? url.searchParams.get('apikey')
  if (!key) return { message: 'No API key found in request', hint: 'No `apikey` request header or url param was found.' }
  if (!KEYS.has(key)) return { message: 'Invalid API key', hint: 'Double check your Supabase `anon` or `service_role` API key.' }
  if (!headers.has('authorization')) headers.set('authorization', `Bearer ${key}`)
  return null
}

function preflight(headers) {
  return new Response(null, {
    status: 200,
    headers: {
      'access-control-allow-methods': 'GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD',
      'access-control-allow-headers': headers.get('access-control-request-headers') ?? '*',
      'access-control-max-age': '86400',
    },
  })
}

/** The one HTTP server in front of everything. */
export async function startHttp({ port, keepAlive, api, realtime, faults, log }) {
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const serving = new Set()
  const server = createServer((incoming, outgoing) => {
    const served = serve(incoming, outgoing).catch((error) => {
      if (!incoming.destroyed) log(`http: ${error.stack}`)
      outgoing.destroy()
    }).finally(() => serving.delete(served))
    serving.add(served)
  })
  server.on('upgrade', (request, stream, head) => {
    realtime.upgrade(request, stream, head).catch((error) => {
      log(`realtime: ${error.stack}`)
      stream.destroy()
    })
  })

  async function serve(incoming, outgoing) {
    const url = new URL(incoming.url, `http://${incoming.headers.host ?? 'localhost'}`)
    const headers = new Headers()
    for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
    const request = { method: incoming.method, url, path: url.pathname, headers }
    const control = url.pathname.startsWith('/__faults')
    const fault = control ? {} : faults.request(request)
    if (fault.refuse) return incoming.socket.destroy()
    request.body = await bodyOf(incoming)
    if (fault.delayMs) await sleep(fault.delayMs, null, { signal: stopping.signal })
    const answer = fault.answer ?? (control && request.method !== 'OPTIONS' ? faults.http(request) : await dispatch(request))
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (fault.loseAnswer) return incoming.socket.destroy()
    // A browser repeats a POST by itself when a connection it had kept breaks: who counts attempts wants none kept.
    outgoing.shouldKeepAlive = keepAlive
    outgoing.writeHead(answer.status, {
      'access-control-expose-headers': EXPOSED,
      ...Object.fromEntries([...answer.headers].filter(([name]) => fault.answer || name !== 'access-control-expose-headers')),
      'access-control-allow-origin': '*',
      'content-length': bytes.length,
    })
    outgoing.end(bytes)
  }

  async function dispatch({ method, url, path, headers, body }) {
    if (method === 'OPTIONS') return preflight(headers)
    const data = /^\/(rest|auth)\/v1(\/|$)/.test(path)
    const broadcast = path === '/realtime/v1/api/broadcast' && method === 'POST'
    if (!data && !broadcast) return Response.json(NO_ROUTE, { status: 404 })
    const problem = keyProblem(url, headers)
    if (problem) return Response.json(problem, { status: 401 })
    if (broadcast) return realtime.broadcastOverHttp({ headers, body })
    const hasBody = method !== 'GET' && method !== 'HEAD' && body.length > 0
    return api.fetch(new Request(url, { method, headers, body: hasBody ? body : undefined }))
  }

  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const actual = server.address().port
  return {
    port: actual,
    url: `http://127.0.0.1:${actual}`,
    /** What is still being served may need the database: it is over when this is. */
    async stop() {
      stopping.abort()
      server.close()
      server.closeAllConnections()
      await Promise.race([Promise.all(serving), sleep(5000, null, { ref: false })])
    },
  }
}
