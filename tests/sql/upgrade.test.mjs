// The migration over what an earlier version of it has made, with data in it.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { databaseOf } from './database.mjs'
import { row, startWorld, statuses, supabaseFile, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client } = users
const { apply, catalog } = databaseOf(world.stack)
after(() => world.stop())

const read = (name) => readFile(new URL(`./earlier/${name}`, import.meta.url), 'utf8')
const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
const rollback = await supabaseFile('rollback.sql')

const everything = async () => {
  const [found] = await sql`
    select (select jsonb_agg(to_jsonb(c) order by c.id) from chat_conversations c) as conversations,
      (select jsonb_agg(to_jsonb(k) order by k.conversation_id, k.user_id) from chat_members k) as members,
      (select jsonb_agg(to_jsonb(m) order by m.conversation_id, m.seq) from chat_messages m) as messages`
  return found
}

/** The columns there were before, as they are now. */
const asBefore = (now, before) => now.map((each, index) => Object.fromEntries(Object.keys(before[index]).map((key) => [key, each[key]])))

let fresh
before(async () => {
  await sql.unsafe('drop trigger if exists chat_booking on public.bookings')
  fresh = await catalog()
})

for (const name of ['first.sql']) {
  test(`${name}: everything stays, and the schema is as if it had always been this version`, async () => {
    await apply(rollback)
    await apply(await read(name))
    const { send, ack } = world.ways.sql
    const id = await world.conversation()
    const other = await world.conversation()
    const message = row(id, 'one')
    const batch = [
      message, row(other, 'elsewhere'),
      row(id, 'ONE', { kind: 'edit', target_id: message.id }), row(id, 'two', { metadata: { n: 2 } }),
    ]
    assert.deepEqual(statuses(await send(operator, batch)), ['stored', 'stored', 'stored', 'stored'])
    await ack(client, [{ conversation_id: id, delivered: 2, read: 1 }])
    const before = await everything()
    assert.deepEqual([before.conversations.length, before.members.length, before.messages.length], [2, 4, 4])

    await apply(migration)
    assert.deepEqual(await catalog(), fresh)
    const now = await everything()
    for (const table of Object.keys(before)) assert.deepEqual(asBefore(now[table], before[table]), before[table])

    for (const way of Object.values(world.ways)) {
      const next = row(id, 'next')
      assert.deepEqual(statuses(await way.send(operator, [...batch, next])), ['duplicate', 'duplicate', 'duplicate', 'duplicate', 'stored'])
      const [answer] = await way.sync(client, { [id]: { seq: 2, incarnation: before.conversations.find((c) => c.id === id).incarnation } })
      assert.deepEqual([answer.first_seq, answer.rows.at(-1).id], [3, next.id])
      const [acked] = await way.ack(client, [{ conversation_id: id, delivered: 3 }])
      assert.deepEqual([acked.delivered_seq, acked.read_seq], [3, 1])
      const [posted] = await way.call('service_role', 'chat_post_system', { conversation_id: id, content: 'system', id: uuid() })
      assert.equal(posted.status, 'stored')
    }

    const grown = await everything()
    await apply(migration)
    assert.deepEqual([await catalog(), await everything()], [fresh, grown])
  })
}

/** What people do in these conversations all the time. */
function atWork(ids) {
  const { send, sync, ack } = world.ways.sql
  return [
    () => send(operator, ids.map((id) => row(id))),
    () => send(client, [...ids].reverse().map((id) => row(id))),
    () => sync(client, Object.fromEntries(ids.map((id) => [id, { seq: 0, incarnation: null }])), 50),
    () => ack(operator, ids.map((conversation_id) => ({ conversation_id, delivered: 1e6, read: 1 }))),
    () => world.conversation(),
  ]
}

test('people write on while it is applied over an earlier version', { timeout: 120_000 }, async () => {
  const { send } = world.ways.sql
  for (let round = 0; round < 3; round++) {
    await apply(rollback)
    await apply(await read('first.sql'))
    const ids = [await world.conversation(), await world.conversation()]
    const works = atWork(ids)
    let busy = true
    const working = works.map(async (work) => {
      while (busy) await work()
    })
    await send(operator, [row(ids[0])])
    await apply(migration)
    await send(operator, [row(ids[0])])
    busy = false
    await Promise.all(working)
    for (const id of ids) {
      const rows = await world.rows(id)
      assert.deepEqual(rows.map((m) => m.seq), rows.map((_, index) => index + 1))
    }
  }
  assert.deepEqual(await catalog(), fresh)
})

test('the rollback is not held up by people who write', { timeout: 120_000 }, async () => {
  const { send, call } = world.ways.sql
  for (let round = 0; round < 5; round++) {
    const ids = [await world.conversation(), await world.conversation()]
    const works = [...atWork(ids), () => call(operator, 'chat_list', { expected_user: operator.id })]
    let busy = true
    // Whoever comes too late finds nothing there any more.
    const working = works.map(async (work) => {
      while (busy) await work().catch(() => {})
    })
    await send(operator, [row(ids[0])])
    await apply(rollback).finally(() => (busy = false))
    await Promise.all(working)
    await apply(migration)
  }
  assert.deepEqual(await catalog(), fresh)
})
