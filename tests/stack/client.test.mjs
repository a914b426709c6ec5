// What the official client sees of the local stack.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { startStack } from '../../dev/stack/index.mjs'

const BOOKING = 'b0000000-0000-4000-8000-000000000001'

// The official client leaves a timer of ten seconds behind at each disconnect, which would hold up the end of the run.
const { setTimeout } = globalThis
globalThis.setTimeout = (work, ms, ...rest) => {
  const timer = setTimeout(work, ms, ...rest)
  return ms === 10_000 ? timer.unref() : timer
}

let stack
const clients = []

before(async () => {
  stack = await startStack()
})
after(() => stack.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) {
    await client.removeAllChannels()
    client.realtime.disconnect()
  }
})

function client(options = {}) {
  const made = createClient(stack.url, stack.apiKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: WebSocket, timeout: 2000 },
    ...options,
  })
  clients.push(made)
  return made
}

/** A client with this token; told beforehand, because the official client may join before its `accessToken` has answered. */
async function withToken(userId, expiresIn) {
  const made = client()
  await made.realtime.setAuth(await stack.tokenFor(userId, { expiresIn }))
  return made
}

async function signedIn({ email, password }) {
  const made = client()
  const { error } = await made.auth.signInWithPassword({ email, password })
  assert.equal(error, null)
  await made.realtime.setAuth()
  return made
}

/** Joins; resolves when the status, and `system` if one is awaited, have come. `events` collects what arrives. */
async function join(from, name, { config, listen = () => {}, ready } = {}) {
  const events = []
  const channel = from.channel(name, { config })
  listen(channel, (event) => events.push(event))
  const isReady = new Promise((resolve) => {
    if (!ready) resolve()
    channel.on('system', {}, (message) => message.message === ready && resolve())
  })
  const status = await new Promise((resolve) => channel.subscribe((state, error) => resolve({ state, error })))
  if (status.state === 'SUBSCRIBED') await isReady
  return { channel, events, ...status }
}

async function until(condition, what) {
  const deadline = Date.now() + 5000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function send(from, userId, content) {
  const row = { id: randomUUID(), conversation_id: BOOKING, content }
  const { data, error } = await from.rpc('chat_send', { expected_user: userId, batch: [row] })
  assert.equal(error, null)
  assert.equal(data[0].status, 'stored')
  return row
}

describe('auth and data', () => {
  test('signs in, and refuses a wrong password', async () => {
    const operator = await signedIn(stack.users.operator)
    const { data } = await operator.auth.getUser()
    assert.equal(data.user.id, stack.users.operator.id)
    const { error } = await client().auth.signInWithPassword({ ...stack.users.operator, password: 'wrong-password' })
    assert.equal(error.status, 400)
  })

  test('a session can be refreshed', async () => {
    const operator = await signedIn(stack.users.operator)
    const { data, error } = await operator.auth.refreshSession()
    assert.equal(error, null)
    assert.equal(data.user.id, stack.users.operator.id)
  })

  test('row level security: each sees what is theirs', async () => {
    const seen = async (from) => (await from.from('bookings').select('id')).data.length
    assert.equal(await seen(await signedIn(stack.users.operator)), 5)
    assert.equal(await seen(await signedIn(stack.users.stranger)), 0)
    assert.equal(await seen(client()), 0)
    assert.equal(await seen(createClient(stack.url, stack.serviceKey, { auth: { persistSession: false }, realtime: { transport: WebSocket } })), 5)
  })

  test('a booking is a conversation of its operator and its client', async () => {
    const members = await stack.sql`select role, user_id from chat_members where conversation_id = ${BOOKING} order by role`
    assert.deepEqual([...members], [
      { role: 'client', user_id: stack.users.client.id },
      { role: 'operator', user_id: stack.users.operator.id },
    ])
  })
})

describe('postgres changes', () => {
  const listen = (channel, got) => channel.on('postgres_changes', { event: '*', schema: 'public', table: 'bookings' }, got)

  test('insert and update reach who may read the row, and no stranger', async () => {
    const operator = await join(await signedIn(stack.users.operator), 'changes', { listen, ready: 'Subscribed to PostgreSQL' })
    const stranger = await join(await signedIn(stack.users.stranger), 'changes', { listen, ready: 'Subscribed to PostgreSQL' })
    const [{ id }] = await stack.sql`insert into bookings (title, customer, starts_at, operator_id) values ('New', 'C', now(), ${stack.users.operator.id}) returning id`
    await stack.sql`update bookings set title = 'Changed' where id = ${id}`
    await until(() => operator.events.length === 2, 'insert and update')
    await stack.sql`delete from bookings where id = ${id}`
    await until(() => operator.events.length === 3 && stranger.events.length === 1, 'the events')
    assert.deepEqual(operator.events.map((e) => [e.eventType, e.new.title, e.old]), [
      ['INSERT', 'New', {}],
      ['UPDATE', 'Changed', { id }],
      ['DELETE', undefined, { id }],
    ])
    // As on Supabase: whoever listens hears of a DELETE, but gets the primary key only.
    assert.deepEqual(stranger.events.map((e) => [e.eventType, e.old]), [['DELETE', { id }]])
  })

  test('changes arrive in commit order, large rows too', async () => {
    const operator = await join(await signedIn(stack.users.operator), 'order', { listen, ready: 'Subscribed to PostgreSQL' })
    const big = 'x'.repeat(100_000)
    const writers = Array.from({ length: 8 }, (_, w) =>
      (async () => {
        for (let n = 0; n < 10; n += 1) await stack.sql`update bookings set title = ${`${w}:${n}:${big}`} where id = ${BOOKING}`
      })(),
    )
    await Promise.all(writers)
    await until(() => operator.events.length === 80, 'all events')
    const [{ title }] = await stack.sql`select title from bookings where id = ${BOOKING}`
    assert.equal(operator.events.at(-1).new.title, title)
    for (let w = 0; w < 8; w += 1) {
      const numbers = operator.events.map((e) => e.new.title.split(':')).filter(([writer]) => writer === String(w)).map(([, n]) => Number(n))
      assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
  })
})

describe('broadcast', () => {
  const listen = (channel, got) => channel.on('broadcast', { event: '*' }, got)

  test('from client to client; the sender hears itself only when it asks to', async () => {
    const a = await join(client(), 'room', { listen, config: { broadcast: { ack: true, self: false } } })
    const b = await join(client(), 'room', { listen, config: { broadcast: { self: true } } })
    assert.equal(await a.channel.send({ type: 'broadcast', event: 'hi', payload: { n: 1 } }), 'ok')
    await b.channel.send({ type: 'broadcast', event: 'hi', payload: { n: 2 } })
    await until(() => b.events.length === 2 && a.events.length === 1, 'both broadcasts')
    assert.deepEqual(b.events.map((e) => e.payload.n), [1, 2])
    assert.deepEqual(a.events.map((e) => e.payload.n), [2])
  })

  test('over HTTP', async () => {
    const a = await join(client(), 'http-room', { listen })
    const sender = client()
    const channel = sender.channel('http-room')
    assert.equal(await channel.send({ type: 'broadcast', event: 'hi', payload: { n: 3 } }), 'ok')
    await until(() => a.events.length === 1, 'the broadcast')
    assert.deepEqual(a.events[0].payload, { n: 3 })
  })

  test('a private inbox: messages from the database to its owner, refused to a stranger', async () => {
    const topic = `chat-user:${stack.users.operator.id}`
    const inbox = { listen, ready: 'Replication connection established', config: { private: true, broadcast: { replication_ready: true } } }
    const sender = await signedIn(stack.users.client)
    const operator = await join(await signedIn(stack.users.operator), topic, inbox)
    const stranger = await join(await signedIn(stack.users.stranger), topic, inbox)
    assert.equal(stranger.state, 'CHANNEL_ERROR')
    assert.equal(stranger.error.message, `Unauthorized: You do not have permissions to read from this Channel topic: ${topic}`)

    const sent = await send(sender, stack.users.client.id, 'Hello there')
    await until(() => operator.events.length === 1, 'the message')
    const { event, payload } = operator.events[0]
    assert.equal(event, 'message')
    assert.equal(payload.id, sent.id)
    assert.equal(payload.row.content, 'Hello there')
    assert.deepEqual(stranger.events, [])
  })

  test('what a policy forbids to send is dropped without a word', async () => {
    const topic = `chat-user:${stack.users.operator.id}`
    const { channel, events } = await join(await signedIn(stack.users.operator), topic, { listen, config: { private: true, broadcast: { self: true } } })
    await channel.send({ type: 'broadcast', event: 'forged', payload: {} })
    await send(await signedIn(stack.users.client), stack.users.client.id, 'real')
    await until(() => events.length > 0, 'the message')
    assert.deepEqual(events.map((e) => e.event), ['message'])
  })

  test('a transaction that is rolled back tells nobody', async () => {
    const { events } = await join(client(), 'open-topic', { listen, ready: 'Replication connection established', config: { broadcast: { replication_ready: true } } })
    const tell = (sql, n) => sql`select realtime.send(${sql.json({ n })}, 'e', 'open-topic', false)`
    await stack.sql.begin(async (tx) => {
      await tell(tx, 1)
      throw new Error('no')
    }).catch(() => {})
    await tell(stack.sql, 2)
    await until(() => events.length > 0, 'the broadcast')
    assert.deepEqual(events.map((e) => e.payload.n), [2])
  })
})

describe('presence', () => {
  test('track, untrack, and leaving by closing the socket', async () => {
    const here = (channel) => Object.keys(channel.presenceState()).sort()
    const member = async (from, key) => {
      const joined = await join(from, 'here', { config: { presence: { key, enabled: true } }, listen: (channel) => channel.on('presence', { event: 'sync' }, () => {}) })
      await joined.channel.track({ since: 1 })
      return joined
    }
    const [a, b] = [await member(client(), 'a'), await member(client(), 'b')]
    await until(() => here(a.channel).join() === 'a,b' && here(b.channel).join() === 'a,b', 'both')
    await a.channel.untrack()
    await until(() => here(b.channel).join() === 'b', 'untrack')
    await a.channel.track({ since: 2 })
    await until(() => here(b.channel).join() === 'a,b', 'track')
    clients[0].realtime.disconnect()
    await until(() => here(b.channel).join() === 'b', 'leave')
  })
})

describe('tokens', () => {
  const listen = (channel, got) => channel.on('system', {}, got)

  test('a channel ends when its token does', async () => {
    const from = await withToken(stack.users.operator.id, 2)
    const { channel, events } = await join(from, `chat-user:${stack.users.operator.id}`, { listen, config: { private: true } })
    await until(() => channel.state === 'closed', 'the close')
    assert.deepEqual(events.map((e) => [e.extension, e.status, e.message]), [['system', 'error', 'Token has expired 0 seconds ago']])
  })

  test('a fresh token in time keeps it open', async () => {
    const from = await withToken(stack.users.operator.id, 2)
    const { channel } = await join(from, `chat-user:${stack.users.operator.id}`, { listen, config: { private: true } })
    await from.realtime.setAuth(await stack.tokenFor(stack.users.operator.id))
    await new Promise((resolve) => setTimeout(resolve, 2500))
    assert.equal(channel.state, 'joined')
  })

  test('an expired token is refused at the join', async () => {
    const { state, error } = await join(await withToken(stack.users.operator.id, -30), 'any', { listen })
    assert.equal(state, 'CHANNEL_ERROR')
    assert.match(error.message, /InvalidJWTToken: Token has expired 3\d seconds ago/)
  })
})
