import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { databaseOf } from './database.mjs'
import { row, startWorld, supabaseFile } from './support.mjs'

const CONNECTIONS = 8
const CONVERSATIONS = 4
const PER_LANE = 30

const world = await startWorld()
const { sql, users } = world
const { send, sync, ack } = world.ways.sql
after(() => world.stop())

/** The same bad luck in every run. */
function dice(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/**
 * A client as surechat is one: a lane per conversation, every request carries the lanes from their front, and what is
 * sent leaves its lane only when an answer says so. Answers get lost, transactions are rolled back,
 * requests run twice or once more much later.
 */
async function client(user, conversations, seed, errors) {
  const chance = dice(seed)
  const lanes = conversations.map((id) => Array.from({ length: PER_LANE }, (_, n) => row(id, `${seed}:${n}`)))
  for (const lane of lanes) {
    for (let n = 5; n < PER_LANE; n += 10) lane[n].content = null
  }
  const sent = lanes.map((lane) => lane.filter((item) => item.content !== null).map((item) => item.id))
  const left = () => lanes.filter((lane) => lane.length > 0)
  const earlier = []
  const late = []

  while (left().length > 0) {
    const batch = shuffleLanes(left().map((lane) => lane.slice(0, 1 + Math.floor(chance() * 4))), chance)
    const request = () => send(user, batch)
    try {
      earlier.push(batch)
      if (chance() < 0.2) late.push(send(user, earlier[Math.floor(chance() * earlier.length)]))
      const luck = chance()
      if (luck < 0.1) {
        await world.undone(async (tx) => {
          await world.actAs(tx, user)
          await world.callIn(tx, 'chat_send', { expected_user: user.id, batch })
        })
        continue
      }
      const answers = luck < 0.25 ? (await Promise.all([request(), request()]))[1] : await request()
      if (luck > 0.85) continue
      for (const { id, conversation_id, status } of answers) {
        const lane = lanes[conversations.indexOf(conversation_id)]
        if (/stored|duplicate|rejected/.test(status)) assert.equal(lane.shift().id, id)
        else assert.equal(status, 'skipped')
      }
    } catch (error) {
      errors.push(error)
      break
    }
  }
  for (const { reason } of await Promise.allSettled(late)) if (reason) errors.push(reason)
  return sent
}

function signal() {
  let give
  return Object.assign(new Promise((resolve) => (give = resolve)), { give })
}

/** Mixes the lanes at random, each in its own order. */
function shuffleLanes(lanes, chance) {
  const batch = []
  for (let rest = lanes; rest.length > 0; rest = rest.filter((lane) => lane.length > 0)) {
    batch.push(rest[Math.floor(chance() * rest.length)].shift())
  }
  return batch
}

test('nothing lost, doubled, reordered or skipped, and no deadlock', async () => {
  const conversations = []
  for (let n = 0; n < CONVERSATIONS; n++) conversations.push(await world.conversation())
  const errors = []
  let busy = true

  // A reader that only ever asks upwards: a row that became visible behind its cursor would be missed for good.
  const seen = conversations.map(() => [])
  const read = async () => {
    const cursors = Object.fromEntries(conversations.map((id, n) => [id, { seq: seen[n].at(-1)?.seq ?? 0, incarnation: null }]))
    for (const answer of await sync(users.client, cursors, 50)) {
      seen[conversations.indexOf(answer.conversation_id)].push(...answer.rows)
    }
  }
  const reader = (async () => {
    while (busy) await read()
  })()
  const receipts = (async () => {
    for (const chance = dice(99); busy; ) {
      const delivered = Math.floor(chance() * 300)
      await ack(users.operator, conversations.map((conversation_id) => ({ conversation_id, delivered, read: delivered - 3 })))
    }
  })()
  const server = (async () => {
    for (let n = 0; n < 60; n++) {
      const conversation_id = conversations[n % CONVERSATIONS]
      await world.ways.sql.call('service_role', 'chat_post_system', { conversation_id, content: `system ${n}` })
      await world.ways.sql.call('service_role', 'chat_ensure', {
        conversation_id,
        members: [users.client, users.operator].map((user) => ({ user_id: user.id, role: user.role })),
      })
    }
  })()

  const lanes = await Promise.all(
    Array.from({ length: CONNECTIONS }, (_, n) => client(n % 2 ? users.operator : users.client, conversations, n + 1, errors)),
  )
  await server
  busy = false
  await Promise.all([reader, receipts])
  for (let n = 0; n < 10; n++) await read()

  assert.deepEqual(errors, [])
  for (const [c, id] of conversations.entries()) {
    const stored = await world.rows(id)
    assert.deepEqual(stored.map((m) => m.seq), Array.from(stored, (_, n) => n + 1))
    assert.equal(await world.lastSeq(id), stored.length)
    assert.equal(stored.length, CONNECTIONS * PER_LANE * 0.9 + 60 / CONVERSATIONS)
    assert.deepEqual(seen[c].map((m) => [m.seq, m.id]), stored.map((m) => [m.seq, m.id]))
    for (let n = 1; n < stored.length; n++) assert.ok(stored[n - 1].created_at <= stored[n].created_at)
    for (const sent of lanes) {
      const mine = new Set(sent[c])
      assert.deepEqual(stored.filter((m) => mine.has(m.id)).map((m) => m.id), sent[c])
    }
  }
  const events = await sql`
    select topic, payload ->> 'id' as id, count(*)::int as times from realtime.messages
    where event = 'message' and payload ->> 'conversation_id' = ${conversations[0]} group by 1, 2`
  assert.equal(events.length, (await world.rows(conversations[0])).length * 2)
  assert.ok(events.every((event) => event.times === 1))
})

test('two requests with the same new row, one waiting for the other', async () => {
  const id = await world.conversation()
  const batch = [row(id, 'once')]
  const [written, held] = [signal(), signal()]
  const first = sql.begin(async (tx) => {
    await world.actAs(tx, users.operator)
    const answers = await world.callIn(tx, 'chat_send', { expected_user: users.operator.id, batch })
    written.give()
    await held
    return answers
  })
  await written
  const second = send(users.operator, batch)
  while ((await sql`select from pg_locks where not granted`).length === 0) await sleep(5)
  assert.deepEqual((await sync(users.operator, { [id]: { seq: 0, incarnation: null } }))[0].rows, [])
  held.give()
  const [[a], [b]] = await Promise.all([first, second])
  assert.deepEqual([a.status, b.status, a.seq, b.seq], ['stored', 'duplicate', 1, 1])
})

test('an id in two conversations at the same time is stored once', async () => {
  const [a, b] = [await world.conversation(), await world.conversation()]
  const message = row(a)
  const answers = await Promise.all(
    [a, b].flatMap((conversation_id) => Array.from({ length: 3 }, () => send(users.operator, [{ ...message, conversation_id }]))),
  )
  const found = answers.flat().map((answer) => answer.status).sort()
  assert.equal(found.filter((status) => status === 'stored').length, 1)
  assert.deepEqual(found, ['duplicate', 'duplicate', 'id_conflict', 'id_conflict', 'id_conflict', 'stored'])
  assert.deepEqual([await world.lastSeq(a), await world.lastSeq(b)].sort(), [0, 1])
})

test('somebody who is no member cannot make others wait', async () => {
  const id = await world.conversation()
  await sql.begin(async (tx) => {
    await world.actAs(tx, users.stranger)
    const batch = [row(id)]
    await world.callIn(tx, 'chat_send', { expected_user: users.stranger.id, batch })
    const [answer] = await send(users.operator, [row(id)])
    assert.equal(answer.status, 'stored')
  })
})

test('eight at a time over the same conversations in opposite orders: nobody waits in a circle', async () => {
  const conversations = []
  for (let n = 0; n < 6; n++) conversations.push(await world.conversation())
  const before = (await sql`select deadlocks::int as n from pg_stat_database where datname = current_database()`)[0].n
  const turned = (list, n) => (n % 2 ? [...list].reverse() : list)
  const sent = conversations.map(() => [])
  const work = async (n) => {
    const user = n % 4 < 2 ? users.operator : users.client
    for (let round = 0; round < 15; round++) {
      const batch = turned(conversations, n).flatMap((id) => [row(id, `${n}: ${round}a`), row(id, `${n}: ${round}b`)])
      const acks = turned(conversations, n + 1).map((conversation_id) => ({ conversation_id, delivered: round * n, read: round }))
      const [answers] = await Promise.all([send(user, batch), ack(user, acks)])
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['stored'])
      for (const { id, conversation_id } of batch) sent[conversations.indexOf(conversation_id)].push(id)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => work(n)))
  await sql`select pg_stat_force_next_flush()`
  assert.equal((await sql`select deadlocks::int as n from pg_stat_database where datname = current_database()`)[0].n, before)
  for (const [c, id] of conversations.entries()) {
    const stored = await world.rows(id)
    assert.deepEqual(stored.map((m) => m.seq), stored.map((_, n) => n + 1))
    assert.deepEqual(new Set(stored.map((m) => m.id)), new Set(sent[c]))
  }
})

/** Everybody at work at the same time, each again and again, until `work` has ended. Answers what went wrong. */
async function meanwhile(works, work) {
  let busy = true
  const errors = []
  const note = (error) => errors.push(`${error.code} ${error.message}`)
  const working = works.map(async (each) => {
    while (busy) await each().catch(note)
  })
  await work().catch(note)
  busy = false
  await Promise.all(working)
  return errors
}

test('conversations are purged and made anew, members come and go, and people write: nobody waits in a circle', { timeout: 120_000 }, async () => {
  const conversations = []
  for (let n = 0; n < 3; n++) conversations.push(await world.conversation())
  const chance = dice(7)
  const any = () => conversations[Math.floor(chance() * conversations.length)]
  const members = [users.operator, users.client].map((user) => ({ user_id: user.id, role: user.role }))
  const seen = new Set()
  const say = (user, list) => async () => {
    for (const { status } of await send(user, list().flatMap((id) => [row(id), row(id)]))) seen.add(status)
  }
  const service = (path) => world.fetchAs('service_role', path, { method: 'DELETE' })
  const errors = await meanwhile([
    say(users.operator, () => conversations),
    say(users.client, () => [...conversations].reverse()),
    say(users.client, () => [any()]),
    () => ack(users.operator, conversations.map((conversation_id) => ({ conversation_id, delivered: 1e6, read: 1e6 }))),
    () => sync(users.client, Object.fromEntries(conversations.map((id) => [id, {}])), 500),
    () => world.ways.sql.call(users.operator, 'chat_list', { expected_user: users.operator.id }),
    () => world.ways.sql.call('service_role', 'chat_ensure', { conversation_id: any(), members }),
    () => world.ways.sql.call('service_role', 'chat_post_system', { conversation_id: any(), content: 'system' }),
  ], async () => {
    for (let n = 0; n < 40; n++) {
      await Promise.all([
        service(`chat_conversations?id=eq.${any()}`),
        service(`chat_members?conversation_id=eq.${any()}&user_id=eq.${users.client.id}`),
        service(`chat_members?conversation_id=eq.${any()}&user_id=eq.${users.operator.id}`),
      ])
    }
  })
  assert.deepEqual(errors, [])
  assert.deepEqual([...seen].sort(), ['forbidden', 'no_conversation', 'skipped', 'stored'])
  for (const id of conversations) {
    const rows = await world.rows(id)
    assert.deepEqual(rows.map((m) => m.seq), rows.map((_, index) => index + 1))
    const [held] = await sql`select last_seq::int from chat_conversations where id = ${id}`
    assert.equal(held?.last_seq ?? 0, rows.length)
  }
})

test('the migration is applied again while everybody is at work: nobody waits in a circle', { timeout: 120_000 }, async () => {
  const conversations = []
  for (let n = 0; n < 6; n++) conversations.push(await world.conversation())
  const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
  const { apply } = databaseOf(world.stack)
  const cursors = Object.fromEntries(conversations.map((id) => [id, { seq: 0, incarnation: null }]))
  const works = [
    () => send(users.operator, conversations.map((id) => row(id))),
    () => send(users.client, [...conversations].reverse().map((id) => row(id))),
    () => sync(users.client, cursors, 50),
    () => ack(users.operator, conversations.map((conversation_id) => ({ conversation_id, delivered: 1, read: 1 }))),
    () => world.ways.sql.call(users.operator, 'chat_list', { expected_user: users.operator.id }),
    () => world.ways.sql.call('service_role', 'chat_post_system', { conversation_id: conversations[0], content: 'system' }),
    () => world.inRole(users.client, (tx) => tx`select count(*) from chat_messages where conversation_id = ${conversations[0]}`),
  ]
  const errors = await meanwhile(works, async () => {
    for (let n = 0; n < 12; n++) await apply(migration)
  })
  assert.deepEqual(errors, [])
})
