// An app that has its own table of messages, as the guide does, and one that has its own endpoint.
import { createServer } from 'node:http'
import { createMessagesTable as createTable, takeMessage } from '../../../dev/demo/lib/ways.mjs'

export const TABLE = { kind: 'table' }

/** The guide's table, which refuses one text. */
export async function createMessagesTable(world) {
  await createTable(world)
  await world.sql`alter table public.messages add check (content <> 'refuse me')`
}

/** The rows of the app's own table, in the order in which everybody reads them. */
export function tableRows({ sql }, booking) {
  return sql`select id, content, sender_role, created_at from public.messages where booking_id = ${booking} order by created_at, id`
}

/**
 * An app's endpoint, which stores with the rights of who asks. `faults` are what happens to the next requests:
 * `lose` (stored, and the answer is lost) or a status. `says` is what it answers to what it stored: `row` or `nothing`.
 */
export async function startEndpoint({ stack, apiKey }) {
  const endpoint = { faults: [], says: 'row', requests: [] }
  const server = createServer(async (request, response) => {
    const reply = (status, body) => response.writeHead(status, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key',
    }).end(body === undefined ? '' : JSON.stringify(body))
    if (request.method === 'OPTIONS') return reply(204)
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const message = JSON.parse(Buffer.concat(chunks).toString())
    const key = request.headers['idempotency-key']
    endpoint.requests.push({ key, content: message.content })
    const fault = endpoint.faults.shift()
    if (typeof fault === 'number') return reply(fault, { error: 'not now' })
    const { status, body } = await takeMessage({ url: stack.url, apiKey }, { authorization: request.headers.authorization, key, message })
    if (fault === 'lose') return request.socket.destroy()
    reply(status, status === 201 && endpoint.says !== 'row' ? {} : body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(endpoint, {
    url: `http://127.0.0.1:${server.address().port}/api/messages`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  })
}
