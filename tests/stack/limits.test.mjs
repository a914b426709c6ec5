// What Realtime does when it is asked too much, and when it fails without a word: raw frames, and the official client.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { startStack } from '../../dev/stack/index.mjs'
import { Rate } from '../../dev/stack/realtime/rate.mjs'
import { Peer } from './recording.mjs'

const BOOKING = 'b0000000-0000-4000-8000-000000000001'

let stack
const peers = []
const clients = []

before(async () => {
  stack = await startStack()
})
after(() => stack.stop())
afterEach(async () => {
  stack.faults.clear()
  for (const peer of peers.splice(0)) peer.ws.terminate()
  for (const client of clients.splice(0)) await client.realtime.disconnect()
  await until(() => stack.faults.list().sockets === 0, 'all sockets are closed')
  // The rates look back one second.
  await pause(1100)
})

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function until(check, what, seconds = 8) {
  for (const end = Date.now() + seconds * 1000; !(await check()); await pause(20)) {
    if (Date.now() > end) throw new Error(`gave up waiting: ${what}`)
  }
}

function open() {
  const peer = new Peer(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${stack.apiKey}&vsn=2.0.0`)
  peers.push(peer)
  return peer
}

async function connected() {
  const peer = open()
  await peer.opened
  return peer
}

async function join(peer, ref, topic, { user, config = {} } = {}) {
  const payload = { config, ...(user && { access_token: await stack.tokenFor(user.id) }) }
  peer.send(JSON.stringify([ref, ref, `realtime:${topic}`, 'phx_join', payload]))
}

const answerOf = (frame) => [frame[1], frame[3], frame[4].status, frame[4].response?.reason]
const refusal = (ref, reason) => [ref, 'phx_reply', 'error', reason]
const closing = (frames) => frames.map((frame) => [frame[3], frame[4].message ?? ''])

/** Frames until the channel ends. */
async function end(peer) {
  const frames = []
  while (frames.at(-1)?.[3] !== 'phx_close') frames.push(await peer.next())
  return closing(frames.slice(-2))
}

async function official(user, realtime = {}) {
  const client = createClient(stack.url, stack.apiKey, { realtime: { transport: WebSocket, ...realtime }, accessToken: () => stack.tokenFor(user.id) })
  clients.push(client)
  // It joins before it has asked for a token.
  await client.realtime.setAuth()
  return client
}

/** Joins and tells how it went, when the server listens; `events` fills up. */
async function joined(client, topic, { config = {}, listen = () => {} } = {}) {
  const events = []
  const channel = client.channel(topic, { config })
  listen(channel, (event) => events.push(event))
  const ready = new Promise((resolve) => channel.on('system', {}, ({ message }) => message === 'Subscribed to PostgreSQL' && resolve()))
  const [status, error] = await new Promise((resolve) => channel.subscribe((status, error) => resolve([status, error])))
  if (status === 'SUBSCRIBED' && channel.bindings.postgres_changes?.length > 0) await ready
  return { channel, events, status, error }
}

const broadcasts = (channel, got) => channel.on('broadcast', { event: '*' }, got)
const tell = (n, topic = 'open') => stack.sql`select realtime.send(${stack.sql.json({ n })}, 'tell', ${topic}, false)`

describe('lowered limits', () => {
  test('too many joins: the join is refused, the socket closed with 1001, and the next one is answered 429', async () => {
    stack.faults.add({ kind: 'limit', joinsPerSecond: 2 })
    const peer = await connected()
    for (const n of ['1', '2', '3']) await join(peer, n, `room ${n}`)
    const answers = [await peer.next(), await peer.next(), await peer.next()].map(answerOf)
    assert.deepEqual(answers[2], refusal('3', 'ClientJoinRateLimitReached: Too many joins per second'))
    assert.equal(await peer.closed, 1001)
    assert.deepEqual(await open().refused, { status: 429, body: '{"error":"Too many joins per second"}' })
    await pause(1100)
    await join(await connected(), '1', 'room')
  })

  test('too many channels on one connection: refused, and the others go on', async () => {
    stack.faults.add({ kind: 'limit', channelsPerSocket: 1 })
    const peer = await connected()
    await join(peer, '1', 'one')
    assert.equal((await peer.next())[4].status, 'ok')
    await join(peer, '2', 'two')
    assert.deepEqual(answerOf(await peer.next()), refusal('2', 'ChannelRateLimitReached: Too many channels'))
    peer.send('[null,"b","phoenix","heartbeat",{}]')
    assert.equal((await peer.next())[4].status, 'ok')
  })

  test('too many users: 429 at the handshake', async () => {
    await connected()
    stack.faults.add({ kind: 'limit', users: 1 })
    assert.deepEqual(await open().refused, { status: 429, body: '{"error":"Too many connected users"}' })
  })

  test('too many messages: the channels that receive one too many end', async () => {
    const peer = await connected()
    await join(peer, '1', 'open')
    await peer.next()
    stack.faults.add({ kind: 'limit', messagesPerSecond: 4 })
    for (const n of [1, 2, 3, 4]) await tell(n)
    assert.deepEqual(await end(peer), [['system', 'Too many messages per second'], ['phx_close', '']])
  })

  test('too many messages: the official client is told CHANNEL_ERROR or CLOSED; changes of a table are lost in silence', async () => {
    const listen = (channel, got) => channel.on('postgres_changes', { event: 'UPDATE', schema: 'public', table: 'bookings' }, got)
    const changes = await joined(await official(stack.users.operator), 'changes', { listen })
    const statuses = []
    const room = (await official(stack.users.operator)).channel('open', { config: { broadcast: { self: true } } })
    await new Promise((resolve) => room.subscribe((status) => { statuses.push(status); resolve() }))
    stack.faults.add({ kind: 'limit', messagesPerSecond: 3 })
    for (let n = 0; n < 8; n += 1) await stack.sql`update bookings set title = ${`Title ${n}`} where id = ${BOOKING}`
    await until(() => stack.faults.list().hits.messagesPerSecond > 0, 'the limit')
    await Promise.all([1, 2, 3, 4, 5].map((n) => tell(n)))
    await until(() => statuses.length > 1, 'the channel ends')
    assert.ok(changes.events.length < 8)
    assert.equal(changes.channel.state, 'joined')
    assert.ok(['CLOSED', 'CHANNEL_ERROR'].includes(statuses[1]), statuses[1])
  })

  test('too many presence messages of everybody together', async () => {
    const peer = await connected()
    await join(peer, '1', 'here', { config: { presence: { enabled: true, key: 'k' } } })
    stack.faults.add({ kind: 'limit', presencePerSecond: 1 })
    for (const n of ['2', '3']) peer.send(JSON.stringify(['1', n, 'realtime:here', 'presence', { type: 'presence', event: 'track', payload: {} }]))
    assert.deepEqual(await end(peer), [['system', 'Too many presence messages per second'], ['phx_close', '']])
  })

  test('the sixth presence call of a client within thirty seconds ends its channel; the official client hears CLOSED', async () => {
    const { channel } = await joined(await official(stack.users.operator), 'here', { config: { presence: { key: 'k', enabled: true } } })
    stack.faults.add({ kind: 'limit', presenceCalls: 5 })
    for (let n = 0; n < 5; n += 1) assert.equal(await channel.track({ n }), 'ok')
    // It is never answered.
    void channel.track({ n: 5 })
    await until(() => channel.state !== 'joined', 'the end of the channel')
    assert.equal(stack.faults.list().hits.presenceCalls, 1)
  })

  test('a payload that is too large: an error to who asks for an ack, and nothing from the database', async () => {
    stack.faults.add({ kind: 'limit', broadcastBytes: 200 })
    const a = await joined(await official(stack.users.operator), 'open', { listen: broadcasts, config: { broadcast: { ack: true } } })
    const b = await joined(await official(stack.users.client), 'open', { listen: broadcasts })
    assert.equal(await a.channel.send({ type: 'broadcast', event: 'e', payload: { text: 'x'.repeat(300) } }), 'error')
    await stack.sql`select realtime.send(${stack.sql.json({ text: 'x'.repeat(300) })}, 'e', 'open', false)`
    assert.equal(await a.channel.send({ type: 'broadcast', event: 'e', payload: { text: 'small' } }), 'ok')
    await until(() => b.events.length > 0, 'the small one')
    assert.deepEqual(b.events.map((event) => event.payload.text), ['small'])
  })

  test('a rate is the average of as many seconds as it is told', () => {
    let seconds = 1
    const rate = new Rate(() => seconds)
    for (let n = 0; n < 8; n += 1) rate.count()
    assert.equal(rate.perSecond, 8)
    seconds = 60
    assert.equal(rate.count(), 9 / 60)
    assert.throws(() => stack.faults.add({ kind: 'limit', users: 1, seconds: 61 }), TypeError)
  })

  test('a limit needs a name, and hits are counted under it', async () => {
    assert.throws(() => stack.faults.add({ kind: 'limit', everything: 1 }), TypeError)
    stack.faults.add({ kind: 'limit', users: 0 })
    await open().refused
    assert.ok(stack.faults.list().hits.users >= 1)
  })
})

describe('joins that are refused', () => {
  test('with any reason, for the topics that begin so', async () => {
    stack.faults.add({ kind: 'refuse_joins', reason: 'RealtimeDisabledForTenant: Realtime is disabled for this tenant', topic: 'ch' })
    const peer = await connected()
    await join(peer, '1', 'chat')
    assert.deepEqual(answerOf(await peer.next()), refusal('1', 'RealtimeDisabledForTenant: Realtime is disabled for this tenant'))
    await join(peer, '2', 'other')
    assert.equal((await peer.next())[4].status, 'ok')
  })
})

describe('failing without a word', () => {
  test('half_open: the socket is accepted, and silent for ever', async () => {
    stack.faults.add({ kind: 'half_open', count: 1 })
    const dead = await connected()
    const alive = await connected()
    for (const peer of [dead, alive]) peer.send('[null,"b","phoenix","heartbeat",{}]')
    await alive.next()
    stack.faults.clear()
    dead.send('[null,"c","phoenix","heartbeat",{}]')
    await pause(200)
    assert.deepEqual(dead.unread, [])
    assert.equal(dead.ws.readyState, dead.ws.OPEN)
  })

  test('half_open of one user: from the first join on', async () => {
    stack.faults.add({ kind: 'half_open', user: stack.users.operator.id })
    const [dead, alive] = [await connected(), await connected()]
    await join(dead, '1', 'open', { user: stack.users.operator })
    await join(alive, '1', 'open', { user: stack.users.client })
    assert.equal((await alive.next())[4].status, 'ok')
    assert.deepEqual(dead.unread, [])
  })

  test('half_open: the official client times out, and gets in when it has missed a heartbeat', async () => {
    stack.faults.add({ kind: 'half_open' })
    const client = await official(stack.users.operator, { timeout: 500, heartbeatIntervalMs: 1000 })
    const states = []
    const events = []
    broadcasts(client.channel('open'), (event) => events.push(event)).subscribe((state) => states.push(state))
    await until(() => states.length > 0, 'the time-out')
    stack.faults.clear()
    await until(() => states.includes('SUBSCRIBED'), 'the next attempt', 20)
    assert.equal(states[0], 'TIMED_OUT')
    await tell(1)
    await until(() => events.length > 0, 'an event')
  })

  test('restart: the official client joins again by itself, and what was committed meanwhile is lost', async () => {
    const { channel, events } = await joined(await official(stack.users.operator), 'open', { listen: broadcasts })
    stack.faults.add({ kind: 'restart', ms: 600 })
    await until(() => channel.state !== 'joined', 'the end of the socket')
    await tell(1)
    await until(() => channel.state === 'joined', 'the rejoin', 20)
    await tell(2)
    await until(() => events.length > 0, 'the second')
    assert.deepEqual(events.map((event) => event.payload.n), [2])
  })

  test('restart: 1012, nobody gets in for a while, and what is committed meanwhile reaches nobody', async () => {
    const peer = await connected()
    await join(peer, '1', 'open')
    await peer.next()
    stack.faults.add({ kind: 'restart', ms: 600 })
    assert.equal(await peer.closed, 1012)
    await assert.rejects(open().opened)
    await tell(1)
    await pause(800)
    const again = await connected()
    await join(again, '1', 'open')
    await again.next()
    await tell(2)
    assert.equal((await again.next()).payload.n, 2)
  })

  test('lose_replication: the channel looks healthy and is told nothing', async () => {
    const { channel, events } = await joined(await official(stack.users.operator), 'open', { listen: broadcasts })
    const { id } = stack.faults.add({ kind: 'lose_replication' })
    await tell(1)
    await pause(300)
    stack.faults.remove(id)
    await tell(2)
    await until(() => events.length > 0, 'the second')
    assert.deepEqual(events.map((event) => event.payload.n), [2])
    assert.equal(channel.state, 'joined')
  })

  test('resubscribe: a second "Subscribed" without warning, to those who listen to a table', async () => {
    const systems = []
    const listen = (channel, got) => channel.on('system', {}, (event) => systems.push(event.message)).on('postgres_changes', { event: '*', schema: 'public', table: 'bookings' }, got)
    await joined(await official(stack.users.operator), 'changes', { listen })
    await until(() => systems.length === 1, 'the first')
    stack.faults.add({ kind: 'resubscribe' })
    await until(() => systems.length === 2, 'the second')
    assert.deepEqual(systems, ['Subscribed to PostgreSQL', 'Subscribed to PostgreSQL'])
  })

  test('delay_ready and drop_ready: the join is answered, the ready signal comes late or never', async () => {
    const config = { broadcast: { replication_ready: true } }
    stack.faults.add({ kind: 'drop_ready', count: 1 })
    const never = await connected()
    await join(never, '1', 'open', { config })
    assert.equal((await never.next())[4].status, 'ok')
    await pause(300)
    assert.deepEqual(never.unread, [])

    stack.faults.add({ kind: 'delay_ready', ms: 400, count: 1 })
    const late = await connected()
    await join(late, '1', 'open', { config })
    assert.equal((await late.next())[4].status, 'ok')
    await pause(200)
    assert.deepEqual(late.unread, [])
    assert.equal((await late.next())[4].message, 'Replication connection established')
  })

  test('truncate_live: a change of a table lacks its long fields, and says so', async () => {
    const listen = (channel, got) => channel.on('postgres_changes', { event: 'UPDATE', schema: 'public', table: 'bookings' }, got)
    const { events } = await joined(await official(stack.users.operator), 'changes', { listen })
    stack.faults.add({ kind: 'truncate_live', count: 1 })
    await stack.sql`update bookings set title = ${'long '.repeat(30)} where id = ${BOOKING}`
    await until(() => events.length > 0, 'the change')
    assert.equal(events[0].new.title, undefined)
    assert.equal(events[0].new.id, BOOKING)
    assert.deepEqual(events[0].errors, ['Error 413: Payload Too Large'])
  })
})

describe('the topic of a conversation', () => {
  const topic = `chat:${BOOKING}`
  const config = (user) => ({ private: true, presence: { key: user.id, enabled: true }, broadcast: { self: false } })
  const here = (channel) => Object.keys(channel.presenceState()).sort()

  test('members see each other come and go, and type; a stranger is refused', async () => {
    const { operator, client, stranger } = stack.users
    const listen = (channel, got) => broadcasts(channel, got).on('presence', { event: 'sync' }, () => {})
    const enter = async (user) => joined(await official(user), topic, { config: config(user), listen })
    const [a, b] = [await enter(operator), await enter(client)]
    assert.equal(await a.channel.track({}), 'ok')
    assert.equal(await b.channel.track({}), 'ok')
    const both = [operator.id, client.id].sort()
    await until(() => here(a.channel).length === 2 && here(b.channel).length === 2, 'both are there')
    assert.deepEqual(here(a.channel), both)

    await b.channel.send({ type: 'broadcast', event: 'typing', payload: { user_id: client.id, on: true } })
    await until(() => a.events.length === 1, 'typing')
    assert.deepEqual(a.events[0].payload, { user_id: client.id, on: true })
    assert.deepEqual(b.events, [])

    const c = await enter(stranger)
    assert.equal(c.status, 'CHANNEL_ERROR')
    assert.match(c.error.message, /^Unauthorized: You do not have permissions to read from this Channel topic/)

    await b.channel.unsubscribe()
    await until(() => here(a.channel).length === 1, 'the leave')
  })

  test('a stranger cannot say anything there over HTTP either', async () => {
    const { operator, stranger } = stack.users
    const a = await joined(await official(operator), topic, { config: config(operator), listen: broadcasts })
    const say = async (user, n) => fetch(`${stack.url}/realtime/v1/api/broadcast`, {
      method: 'POST',
      headers: { apikey: stack.apiKey, authorization: `Bearer ${await stack.tokenFor(user.id)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ topic, event: 'typing', payload: { n }, private: true }] }),
    })
    assert.equal((await say(stranger, 1)).status, 202)
    assert.equal((await say(stack.users.client, 2)).status, 202)
    await until(() => a.events.length > 0, 'what a member said')
    assert.deepEqual(a.events.map((event) => event.payload.n), [2])
  })
})
