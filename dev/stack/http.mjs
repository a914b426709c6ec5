import { createServer } from 'node:http'
import { projectKey } from './keys.mjs'

// What PostgREST exposes; lite hides the server's date.
const EXPOSED = 'Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit'

const KEYS = new Set([projectKey('anon'), projectKey('service_role')])

async function bodyOf(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function keyProblem(url, headers) {
  const key = headers.get('apikey') ?? url.searchParams.get('apikey')
  if (!key) return { message: 'No API key found in request', hint: 'No `apikey` request header or url param was found.' }
  if (!KEYS.has(key)) return { message: 'Invalid API key', hint: 'Double check your Supabase `anon` or `service_role` API key.' }
  // As Supabase's gateway has it: without an Authorization header the key itself is the token.
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
export async function startHttp({ port, api, log }) {
  const server = createServer(async (incoming, outgoing) => {
    try {
      const url = new URL(incoming.url, `http://${incoming.headers.host ?? 'localhost'}`)
      const headers = new Headers()
      for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
      const body = await bodyOf(incoming)
      const answer = await dispatch({ method: incoming.method, url, headers, body })
      outgoing.writeHead(answer.status, {
        ...Object.fromEntries(answer.headers),
        'access-control-allow-origin': '*',
        'access-control-expose-headers': EXPOSED,
      })
      outgoing.end(Buffer.from(await answer.arrayBuffer()))
    } catch (error) {
      log(`http: ${error.stack}`)
      outgoing.destroy()
    }
  })

  async function dispatch({ method, url, headers, body }) {
    if (method === 'OPTIONS') return preflight(headers)
    if (!/^\/(rest|auth)\/v1(\/|$)/.test(url.pathname)) return Response.json({ message: 'no Route matched with those values' }, { status: 404 })
    const problem = keyProblem(url, headers)
    if (problem) return Response.json(problem, { status: 401 })
    const hasBody = method !== 'GET' && method !== 'HEAD' && body.length > 0
    return api.fetch(new Request(url, { method, headers, body: hasBody ? body : undefined }))
  }

  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const actual = server.address().port
  return {
    server,
    port: actual,
    url: `http://127.0.0.1:${actual}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}
