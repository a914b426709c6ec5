import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { databaseOf } from './database.mjs'
import { row, startWorld, statuses, supabaseFile } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { send } = world.ways.sql
after(() => world.stop())

const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
const rollback = await supabaseFile('rollback.sql')

const { apply, catalog } = databaseOf(world.stack)

test('may be applied again, with data there, and changes nothing', async () => {
  const id = await world.conversation()
  const batch = [row(id, 'one'), row(id, 'two')]
  await send(users.operator, batch)
  await world.ways.sql.ack(users.client, [{ conversation_id: id, delivered: 2, read: 1 }])
  const before = [await catalog(), await world.rows(id), await world.members(id), await world.lastSeq(id)]
  await apply(migration)
  await apply(migration)
  assert.deepEqual([await catalog(), await world.rows(id), await world.members(id), await world.lastSeq(id)], before)
  assert.deepEqual(statuses(await send(users.operator, [...batch, row(id)])), ['duplicate', 'duplicate', 'stored'])
})

test('every function, table and type says what it is for', async () => {
  const found = await sql`
    select p.proname as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname like 'chat\\_%' and obj_description(p.oid, 'pg_proc') is null
    union all
    select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname like 'chat\\_%'
    and c.relkind = 'r' and obj_description(c.oid, 'pg_class') is null`
  assert.deepEqual([...found], [])
})

test('runs where there is no Realtime', async () => {
  const id = await world.conversation()
  await world.undone(async (tx) => {
    await tx`drop schema realtime cascade`
    await tx`set local role postgres`
    await tx.unsafe(migration)
    await world.actAs(tx, users.operator)
    const batch = [row(id)]
    assert.deepEqual(statuses(await world.callIn(tx, 'chat_send', { expected_user: users.operator.id, batch })), ['stored'])
  })
})

test('a table of the app under one of its names stops it, and is left as it was', async () => {
  await world.undone(async (tx) => {
    await tx`drop table chat_messages, chat_members, chat_conversations cascade`
    await tx`set local role postgres`
    await tx`create table chat_messages (id uuid primary key, body text)`
    await tx`insert into chat_messages values (gen_random_uuid(), 'of the app')`
    await assert.rejects(tx.savepoint((inner) => inner.unsafe(migration)), { message: /public\.chat_messages that is not surechat's/ })
    assert.deepEqual((await tx`select body from chat_messages`).map(({ body }) => body), ['of the app'])
    assert.equal((await tx`select to_regclass('public.chat_members') as found`)[0].found, null)
  })
})

test('the rollback stops while the app still uses chat_follow, and leaves everything as it was', async () => {
  const before = await catalog()
  await assert.rejects(apply(rollback), { code: '2BP01' })
  assert.deepEqual(await catalog(), before)
})

test('the rollback removes what the migration made, all of it and nothing else', async () => {
  await sql.unsafe('drop trigger if exists chat_booking on public.bookings')
  const all = await catalog()
  await apply(rollback)
  const without = await catalog()
  assert.deepEqual(without.filter((line) => /chat_/.test(line)), [])
  assert.deepEqual(without, all.filter((line) => without.includes(line)))
  assert.deepEqual(all.filter((line) => !without.includes(line) && !/chat_|chat users/.test(line)), [])

  await apply(rollback)
  assert.deepEqual(await catalog(), without)
  await apply(migration)
  assert.deepEqual(await catalog(), all)
  const id = await world.conversation()
  assert.deepEqual(statuses(await send(users.operator, [row(id)])), ['stored'])
})
