import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { row, startWorld, statuses, supabaseFile } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { send } = world.ways.sql
after(() => world.stop())

const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
const rollback = await supabaseFile('rollback.sql')

/** Runs a file as `postgres`, who owns a project's schema and is no superuser. */
async function apply(text) {
  const connection = await sql.reserve()
  try {
    await connection.unsafe('set role postgres').simple()
    await connection.unsafe(text).simple()
  } catch (error) {
    await connection.unsafe('rollback').simple()
    throw error
  } finally {
    await connection.unsafe('reset role').simple()
    connection.release()
  }
}

/** Everything there is in the schemas of a project, in words. */
async function catalog() {
  const found = await sql`
    with names as (select oid, nspname from pg_namespace where nspname in ('public', 'realtime', 'auth'))
    select concat_ws(' ', 'function', p.oid::regprocedure, pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc')) as line
    from pg_proc p join names n on n.oid = p.pronamespace where p.prokind = 'f'
    union all
    select concat_ws(' ', 'relation', c.oid::regclass, c.relkind, c.relrowsecurity, c.relowner::regrole, c.relacl, obj_description(c.oid, 'pg_class'))
    from pg_class c join names n on n.oid = c.relnamespace where c.relkind not in ('t', 'i')
    union all
    select concat_ws(' ', 'type', t.oid::regtype, t.typtype, t.typacl, obj_description(t.oid, 'pg_type'))
    from pg_type t join names n on n.oid = t.typnamespace
    union all
    select concat_ws(' ', 'column', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
    from pg_attribute a join pg_class c on c.oid = a.attrelid join names n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and c.relkind not in ('t', 'i')
    union all
    select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid))
    from pg_index i join pg_class c on c.oid = i.indrelid join names n on n.oid = c.relnamespace
    union all
    select concat_ws(' ', 'constraint', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
    from pg_constraint k join names n on n.oid = k.connamespace
    union all
    select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid))
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join names n on n.oid = c.relnamespace where not t.tgisinternal
    union all
    select concat_ws(' ', 'policy', to_jsonb(p)) from pg_policies p join names n on n.nspname = p.schemaname
    union all
    select concat_ws(' ', 'default', to_jsonb(d)) from pg_default_acl d
    order by 1`
  return found.map(({ line }) => line)
}

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
