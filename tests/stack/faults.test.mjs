// Each fault switch does what it says, and stops when it should.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { startStack } from '../../dev/stack/index.mjs'
import { Peer } from './recording.mjs'

const BOOKING = 'b0000000-0000-4000-8000-000000000001'

let stack, operator, client
const peers = []

before(async () => {
  stack = await startStack()
  ;({ operator, client } = stack.users)
})
after(() => stack.stop())
afterEach(() => {
  stack.faults.clear()
  for (const peer of peers.splice(0)) peer.ws.terminate()
})

async function rpc(name, args, user = operator) {
  return fetch(`${stack.url}/rest/v1/rpc/${name}`, {
    method: 'POST',
    headers: { apikey: stack.apiKey, authorization: `Bearer ${await stack.tokenFor(user.id)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ expected_user: user.id, ...args }),
  })
}

async function send(user = operator, id = randomUUID()) {
  const answer = await rpc('chat_send', { batch: [{ id, conversation_id: BOOKING, content: 'hello' }] }, user)
  return { id, status: answer.status, body: await answer.json(), headers: answer.headers }
}

const sync = (user) => rpc('chat_sync', { cursors: {} }, user)
const stored = async (id) => (await stack.sql`select from chat_messages where id = ${id}`).length === 1
const networkError = { name: 'TypeError', message: 'fetch failed' }

function open() {
  const peer = new Peer(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${stack.apiKey}&vsn=2.0.0`)
  peers.push(peer)
  return peer
}

async function inbox(user) {
  const peer = open()
  await peer.opened
  const payload = { config: { private: true, broadcast: { replication_ready: true } }, access_token: await stack.tokenFor(user.id) }
  peer.send(JSON.stringify(['1', '1', `realtime:chat-user:${user.id}`, 'phx_join', payload]))
  assert.equal((await peer.next())[4].status, 'ok')
  assert.equal((await peer.next())[4].message, 'Replication connection established')
  return peer
}

const beat = (peer) => peer.send('[null,"b","phoenix","heartbeat",{}]')

/** Two broadcasts from the database to this user. */
async function tell(user, ...numbers) {
  for (const n of numbers) await stack.sql`select realtime.send(${stack.sql.json({ n })}, 'tell', ${`chat-user:${user.id}`})`
}

/** A token says when it was issued in whole seconds. */
const nextSecond = () => new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000) + 5))

/** The numbers that arrived before the answer to a heartbeat sent after a while. */
async function heard(peer) {
  await new Promise((resolve) => setTimeout(resolve, 300))
  beat(peer)
  const numbers = []
  for (;;) {
    const frame = await peer.next()
    if (Array.isArray(frame)) return numbers
    numbers.push(frame.payload.n)
  }
}

describe('requests', () => {
  test('lose_answer: the row is committed, the client sees a network error', async () => {
    stack.faults.add({ kind: 'lose_answer', match: 'send', count: 1 })
    const id = randomUUID()
    await assert.rejects(send(operator, id), networkError)
    assert.equal(await stored(id), true)
    const again = await send(operator, id)
    assert.equal(again.body[0].status, 'duplicate')
    assert.equal(stack.faults.list().hits.lose_answer, 1)
  })

  test('refuse: nothing is processed', async () => {
    stack.faults.add({ kind: 'refuse', match: 'send', count: 1 })
    const id = randomUUID()
    await assert.rejects(send(operator, id), networkError)
    assert.equal(await stored(id), false)
    assert.equal((await send(operator, id)).body[0].status, 'stored')
  })

  test('delay, together with another fault', async () => {
    stack.faults.add({ kind: 'delay', ms: 300, match: 'send', count: 2 })
    const start = Date.now()
    assert.equal((await send()).status, 200)
    assert.ok(Date.now() - start >= 300)
    stack.faults.add({ kind: 'status', status: 503, match: 'send', count: 1 })
    const again = Date.now()
    assert.equal((await send()).status, 503)
    assert.ok(Date.now() - again >= 300)
  })

  test('status: the presets have the bodies of Supabase', async () => {
    const answer = async (fault) => {
      stack.faults.add({ kind: 'status', match: 'send', count: 1, ...fault })
      return send()
    }
    assert.equal((await answer({ status: 401 })).body.code, 'PGRST303')
    assert.equal((await answer({ status: 403 })).body.code, '42501')
    assert.equal((await answer({ status: 503 })).body.code, 'PGRST002')
    const hidden = await answer({ status: 429, retryAfter: 7 })
    assert.deepEqual([hidden.status, hidden.headers.get('retry-after')], [429, '7'])
    assert.doesNotMatch(hidden.headers.get('access-control-expose-headers'), /retry-after/i)
    assert.match((await answer({ status: 429, retryAfter: 7, readable: true })).headers.get('access-control-expose-headers'), /retry-after/i)
    const custom = await answer({ status: 418, body: { code: 'TEAPOT' }, headers: { 'x-pot': 'yes' } })
    assert.deepEqual([custom.status, custom.body.code, custom.headers.get('x-pot')], [418, 'TEAPOT', 'yes'])
  })

  test('match, count and user', async () => {
    stack.faults.add({ kind: 'status', status: 503, match: 'sync', user: client.id })
    assert.equal((await send(client)).status, 200)
    assert.equal((await sync(operator)).status, 200)
    assert.equal((await sync(client)).status, 503)
    assert.equal((await sync(client)).status, 503)
    stack.faults.clear()
    assert.equal((await sync(client)).status, 200)
    stack.faults.add({ kind: 'refuse', match: 'auth', count: 1 })
    const signIn = () =>
      fetch(`${stack.url}/auth/v1/token?grant_type=password`, {
        method: 'POST',
        headers: { apikey: stack.apiKey, 'content-type': 'application/json' },
        body: JSON.stringify({ email: client.email, password: client.password }),
      })
    await assert.rejects(signIn(), networkError)
    assert.equal((await signIn()).status, 200)
  })

  test('probability: the same outcomes for the same seed, others for another', async () => {
    const outcomes = async (seed) => {
      const { id } = stack.faults.add({ kind: 'status', status: 503, match: 'sync', probability: 0.5, ...(seed !== undefined && { seed }) })
      const fault = stack.faults.list().faults.find((fault) => fault.id === id)
      const statuses = []
      for (let n = 0; n < 20; n += 1) statuses.push((await sync()).status)
      stack.faults.remove(id)
      return { statuses, seed: fault.seed }
    }
    const first = await outcomes(7)
    assert.deepEqual([...new Set(first.statuses)].sort(), [200, 503])
    assert.deepEqual(await outcomes(7), first)
    assert.notDeepEqual((await outcomes(8)).statuses, first.statuses)
    const unseeded = await outcomes()
    assert.deepEqual(await outcomes(unseeded.seed), unseeded)
  })

  test('expire_tokens: what was issued before is refused, what is issued later is good', async () => {
    const old = await stack.tokenFor(operator.id)
    const askWith = (token) => fetch(`${stack.url}/rest/v1/rpc/chat_sync`, {
      method: 'POST',
      headers: { apikey: stack.apiKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ expected_user: operator.id, cursors: {} }),
    })
    const [peer, other] = [await inbox(operator), await inbox(client)]
    await nextSecond()
    const { id } = stack.faults.add({ kind: 'expire_tokens', user: operator.id })
    const refused = await askWith(old)
    assert.deepEqual([refused.status, (await refused.json()).code], [401, 'PGRST303'])
    const said = await peer.next()
    assert.match(said[4].message, /^Token has expired/)
    assert.equal((await peer.next())[3], 'phx_close')
    const payload = { config: { private: true }, access_token: old }
    peer.send(JSON.stringify(['2', '2', `realtime:chat-user:${operator.id}`, 'phx_join', payload]))
    const answer = await peer.next()
    assert.equal(answer[4].status, 'error')
    assert.match(answer[4].response.reason, /^InvalidJWTToken: Token has expired/)

    assert.equal((await askWith(await stack.tokenFor(operator.id))).status, 200)
    await inbox(operator)
    await tell(client, 1)
    assert.deepEqual(await heard(other), [1])
    stack.faults.remove(id)
    assert.equal((await askWith(old)).status, 200)
  })
})

describe('sockets', () => {
  test('cut_sockets: with a code, without one, and of one user only', async () => {
    const [a, b] = [await inbox(operator), await inbox(client)]
    stack.faults.add({ kind: 'cut_sockets', user: operator.id, code: 1012 })
    assert.equal(await a.closed, 1012)
    assert.equal(b.ws.readyState, b.ws.OPEN)
    stack.faults.add({ kind: 'cut_sockets' })
    assert.equal(await b.closed, 1006)
    await inbox(operator)
  })

  test('refuse_sockets: for everybody, or for a user at the join', async () => {
    const { id } = stack.faults.add({ kind: 'refuse_sockets' })
    await assert.rejects(open().opened)
    stack.faults.remove(id)
    stack.faults.add({ kind: 'refuse_sockets', user: operator.id })
    const refused = open()
    await refused.opened
    refused.send(JSON.stringify(['1', '1', 'realtime:x', 'phx_join', { config: {}, access_token: await stack.tokenFor(operator.id) }]))
    assert.equal(await refused.closed, 1006)
    await inbox(client)
  })

  test('drop_live: live events are swallowed, everything else goes on', async () => {
    const peer = await inbox(operator)
    stack.faults.add({ kind: 'drop_live', count: 1 })
    await tell(operator, 1, 2)
    assert.deepEqual(await heard(peer), [2])
    const other = await inbox(client)
    stack.faults.add({ kind: 'drop_live', user: client.id })
    await tell(operator, 3)
    await tell(client, 3)
    assert.deepEqual(await heard(peer), [3])
    assert.deepEqual(await heard(other), [])
  })

  test('double_live and reorder_live', async () => {
    const peer = await inbox(operator)
    stack.faults.add({ kind: 'double_live', count: 1 })
    await tell(operator, 1)
    assert.deepEqual(await heard(peer), [1, 1])
    stack.faults.add({ kind: 'reorder_live', count: 1 })
    await tell(operator, 2, 3)
    assert.deepEqual(await heard(peer), [3, 2])
  })

  test('truncate_live: long fields are missing, short ones stay', async () => {
    const peer = await inbox(operator)
    const payload = { n: 1, row: { content: 'x'.repeat(100), id: 'short' } }
    const say = () => stack.sql`select realtime.send(${stack.sql.json(payload)}, 'tell', ${`chat-user:${operator.id}`})`
    stack.faults.add({ kind: 'truncate_live', count: 1 })
    await say()
    assert.deepEqual((await peer.next()).payload.row, { id: 'short' })
    await say()
    assert.deepEqual((await peer.next()).payload.row, payload.row)
  })

  test('mute_sockets: the socket stays open and nothing passes', async () => {
    const peer = await inbox(operator)
    stack.faults.add({ kind: 'mute_sockets', user: operator.id })
    beat(peer)
    await tell(operator, 1)
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.deepEqual(peer.unread, [])
    assert.equal(peer.ws.readyState, peer.ws.OPEN)
    stack.faults.clear()
    await tell(operator, 2)
    assert.deepEqual(await heard(peer), [2])
  })

  test('offline: one user has no server at all, the other notices nothing', async () => {
    const [a, b] = [await inbox(operator), await inbox(client)]
    const { id } = stack.faults.add({ kind: 'offline', user: operator.id })
    assert.equal(await a.closed, 1006)
    await assert.rejects(send(operator), networkError)
    await assert.rejects(inbox(operator))
    assert.equal((await send(client)).status, 200)
    assert.equal(b.ws.readyState, b.ws.OPEN)
    stack.faults.remove(id)
    assert.equal((await send(operator)).status, 200)
    await inbox(operator)
  })
})

describe('over HTTP', () => {
  const control = (method, path = '', body) =>
    fetch(`${stack.url}/__faults${path}`, { method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json' } })

  test('add, list, remove, clear', async () => {
    const made = await control('POST', '', { kind: 'status', status: 503, match: 'send' })
    assert.equal(made.status, 201)
    const { id } = await made.json()
    assert.equal((await send()).status, 503)
    const peer = await inbox(operator)
    const state = await (await control('GET')).json()
    assert.deepEqual(state.faults, [{ id, kind: 'status', match: 'send', count: null, probability: 1, user: null, status: 503 }])
    assert.ok(state.hits.status >= 1)
    assert.ok(state.requests['/rest/v1/rpc/chat_send'] >= 1)
    assert.equal(state.sockets, 1)
    assert.equal((await control('DELETE', `/${id}`)).status, 204)
    assert.equal((await control('DELETE', `/${id}`)).status, 404)
    assert.equal((await send()).status, 200)
    await control('POST', '', { kind: 'offline' })
    assert.equal(await peer.closed, 1006)
    assert.equal((await control('DELETE')).status, 204)
    assert.equal((await send()).status, 200)
  })

  test('what it does not know is refused', async () => {
    for (const body of [{ kind: 'earthquake' }, { kind: 'refuse', match: 'moon' }, { kind: 'status' }, { kind: 'delay' }, { kind: 'refuse', seed: 'luck' }]) {
      assert.equal((await control('POST', '', body)).status, 400)
    }
  })

  test('a page of another origin may use it', async () => {
    const answer = await control('OPTIONS')
    assert.equal(answer.status, 200)
    assert.match(answer.headers.get('access-control-allow-methods'), /DELETE/)
  })
})
