// An export, the rollback, the migration anew, and the export put back.
import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, test } from 'node:test'
import { databaseOf } from './database.mjs'
import { row, startWorld, statuses, supabaseFile, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client } = users
const { send, sync, ack } = world.ways.http
const { apply } = databaseOf(world.stack)
after(() => world.stop())

const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
const rollback = await supabaseFile('rollback.sql')
const exporting = await supabaseFile('templates/export-messages.sql')
const restoring = await supabaseFile('templates/restore-export.sql')

const asService = (name, args) => world.ways.sql.call('service_role', name, args)

/** Every row there is, but for the incarnations. */
async function everything() {
  const [found] = await sql`select
    (select jsonb_agg(to_jsonb(c) - 'incarnation' order by c.id) from chat_conversations c) as conversations,
    (select jsonb_agg(to_jsonb(k) order by k.conversation_id, k.user_id) from chat_members k) as members,
    (select jsonb_agg(to_jsonb(m) order by m.conversation_id, m.seq) from chat_messages m) as messages`
  return { ...found }
}

const incarnation = async (id) => (await sql`select incarnation from chat_conversations where id = ${id}`)[0].incarnation

async function startAnew() {
  await sql.unsafe('drop trigger if exists chat_booking on public.bookings')
  await apply(rollback)
  await apply(migration)
  await sql`notify pgrst, 'reload schema'`
}

let talk
let quiet
let mine
let written

beforeEach(async () => {
  talk = await world.conversation()
  quiet = await world.conversation()
  mine = [row(talk, 'one', { metadata: { n: [1, null] } }), row(talk, 'two'), row(talk, 'three')]
  await send(operator, mine)
  await send(operator, [
    row(talk, 'better', { kind: 'edit', target_id: mine[0].id }), row(talk, '', { kind: 'delete', target_id: mine[1].id }),
  ])
  const never = uuid()
  await send(client, [row(talk, 'an answer'), { id: never, conversation_id: talk, kind: 'delete', target_id: never }])
  await asService('chat_post_system', { conversation_id: talk, content: 'Confirmed' })
  await ack(client, [{ conversation_id: talk, delivered: 5, read: 3 }])
  written = await everything()
  assert.equal(written.messages.length, 8)
  await apply(exporting)
})

afterEach(async () => {
  await sql`drop table exported_messages, exported_members, exported_conversations`
  await sql`delete from chat_conversations`
})

test('every row is back, only the incarnation is new, and a second time changes nothing', async () => {
  const before = await incarnation(talk)
  await startAnew()
  await apply(restoring)
  assert.deepEqual(await everything(), written)
  assert.notEqual(await incarnation(talk), before)

  assert.deepEqual(statuses(await send(operator, [row(talk, 'since')])), ['stored'])
  await sql`delete from chat_members where conversation_id = ${quiet} and user_id = ${client.id}`
  await ack(client, [{ conversation_id: talk, delivered: 9, read: 9 }])
  const [now, named] = [await everything(), await incarnation(talk)]
  await apply(restoring)
  assert.deepEqual(await everything(), now)
  assert.equal(await incarnation(talk), named)
})

test('the rollback stops and counts what was stored after the export, and goes on once that is exported, too', async () => {
  await asService('chat_ensure', { conversation_id: quiet, members: [{ user_id: uuid(), role: 'helper' }] })
  await send(operator, [row(talk, 'since'), row(talk, 'better still', { kind: 'edit', target_id: mine[0].id })])
  const later = await world.conversation()
  await send(operator, [row(later, 'all new')])
  const before = await everything()
  await assert.rejects(startAnew(), {
    code: 'P0001',
    message: 'The export lacks 1 of the conversations, 3 of the memberships and 3 of the messages. Nothing was deleted.',
  })
  assert.deepEqual(await everything(), before)

  await sql`drop table exported_messages, exported_members, exported_conversations`
  await apply(exporting)
  await ack(client, [{ conversation_id: talk, delivered: 9, read: 9 }])
  await startAnew()
  await apply(restoring)
  assert.deepEqual(await everything(), before)
})

test('the rollback does not take a table of the app for an export', async () => {
  await sql`alter table exported_conversations rename to set_aside`
  await sql`create table exported_conversations (id uuid primary key)`
  await startAnew()
  assert.deepEqual(await everything(), { conversations: null, members: null, messages: null })
  await sql`drop table set_aside`
})

test('people go on where they were: numbers, repeats, edits and live events', async () => {
  await startAnew()
  await sql`delete from realtime.messages`
  await apply(restoring)
  assert.deepEqual([...(await world.liveEvents(talk))], [])
  const answers = await send(operator, [...mine, row(talk, 'the next'), row(talk, 'now better', { kind: 'edit', target_id: mine[2].id })])
  assert.deepEqual(answers.map(({ status, seq }) => [status, seq]),
    [['duplicate', 1], ['duplicate', 2], ['duplicate', 3], ['stored', 9], ['stored', 10]])
  assert.equal((await world.rows(talk))[2].content, 'now better')
  await ack(client, [{ conversation_id: talk, delivered: 10, read: 4 }])
  const events = (await world.liveEvents(talk)).map(({ event }) => event)
  assert.deepEqual([...new Set(events)].sort(), ['message', 'receipt'])
})

test('who saw what was written after the export misses nothing that comes under the same numbers', async () => {
  await send(operator, [row(talk, 'gone with the rollback'), row(talk, 'this too')])
  const held = { seq: 10, incarnation: await incarnation(talk) }
  await sql`alter table exported_conversations rename to set_aside`
  await startAnew()
  await sql`alter table set_aside rename to exported_conversations`
  await apply(restoring)
  await send(operator, [row(talk, 'other words'), row(talk, 'of the same numbers'), row(talk, 'and one more')])
  const [page] = await sync(client, { [talk]: held })
  assert.deepEqual([page.first_seq, page.through_seq, page.rows.length], [1, 11, 11])
  assert.deepEqual(page.rows, await world.rows(talk))
})

test('a conversation with other messages is not touched, nor is any other, until it is left out', async () => {
  await startAnew()
  await asService('chat_ensure', { conversation_id: talk, members: [{ user_id: operator.id, role: 'operator' }] })
  await send(operator, [row(talk, 'too early')])
  const before = await everything()
  await assert.rejects(apply(restoring), { code: 'P0001', message: `Conversation ${talk} holds other messages than its export. Nothing was restored.` })
  assert.deepEqual(await everything(), before)

  await sql`delete from exported_conversations where id = ${talk}`
  await apply(restoring)
  assert.deepEqual(await world.members(quiet), written.members.filter((k) => k.conversation_id === quiet).sort((a, b) => (a.role < b.role ? -1 : 1)))
  assert.deepEqual((await world.rows(talk)).map((m) => m.content), ['too early'])
})

test('an exported id that another conversation has taken is named', async () => {
  await startAnew()
  const other = await world.conversation()
  await send(operator, [{ ...mine[0], conversation_id: other }])
  const before = await everything()
  await assert.rejects(apply(restoring), { code: 'P0001', message: `Conversation ${other} has a message with the exported id ${mine[0].id}. Nothing was restored.` })
  assert.deepEqual(await everything(), before)
})

test('a conversation that a booking has made in the meantime is filled, and who is new in it has read what was before', async () => {
  const newcomer = uuid()
  await startAnew()
  await asService('chat_ensure', { conversation_id: talk, members: [{ user_id: client.id, role: 'guest' }, { user_id: newcomer, role: 'helper' }] })
  await apply(restoring)
  const { conversations, messages } = await everything()
  assert.deepEqual([conversations, messages], [written.conversations, written.messages])
  const found = (await world.members(talk)).map((k) => [k.user_id, k.role, k.delivered_seq, k.read_seq])
  assert.deepEqual(found, [[client.id, 'guest', 5, 3], [newcomer, 'helper', 8, 8], [operator.id, 'operator', 0, 0]])
})
