// A messages table that an app has already, beside the migration: left alone, carried over, and left alone by the rollback.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { databaseOf } from './database.mjs'
import { row, startWorld, statuses, supabaseFile } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client } = users
const { apply, catalog } = databaseOf(world.stack)
after(() => world.stop())

const migration = await supabaseFile('migrations/20261101000000_surechat.sql')
const rollback = await supabaseFile('rollback.sql')
const importing = await supabaseFile('templates/import-messages.sql')
const exporting = await supabaseFile('templates/export-messages.sql')

const BOOKINGS = [1, 2].map((n) => `b0000000-0000-4000-8000-00000000000${n}`)
const GONE = 'b0000000-0000-4000-8000-0000000000ff'

const old = async () => (await sql`select to_jsonb(m) as m from messages m order by m.id`).map(({ m }) => m)
const bookings = async () => (await sql`select to_jsonb(b) as b from bookings b order by b.id`).map(({ b }) => b)
const write = (list) => sql`insert into messages ${sql(list, 'id', 'booking_id', 'sender_role', 'content', 'message_type', 'metadata', 'created_at')}`

/** What the guide's app has written: several rows of one time, and rows in no order of any kind. */
function written() {
  const rows = []
  for (let n = 0; n < 200; n++) {
    rows.push({
      id: randomUUID(), booking_id: BOOKINGS[n % 3 ? 0 : 1], sender_role: n % 2 ? 'operator' : 'client', content: `old ${n}`,
      message_type: 'text', metadata: { n }, created_at: new Date(1.7e12 + Math.floor(((n * 7919) % 200) / 4) * 1000),
    })
  }
  return rows
}

/** As the import numbers them. */
const inOrder = (rows) => [...rows].sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1))

let first
before(async () => {
  await sql.unsafe(`
    create table public.messages (
      id uuid primary key default gen_random_uuid(), booking_id uuid, sender_role text, content text,
      message_type text default 'text', metadata jsonb, created_at timestamptz default now());
    alter table public.messages owner to postgres;
    alter table public.messages enable row level security;
    create policy "as before" on public.messages for select to authenticated using (true);
    alter publication supabase_realtime add table public.messages`).simple()
  first = written()
  await write(first)
})

test('the migration leaves the table alone', async () => {
  const [rows, lines] = [await old(), (await catalog()).filter((line) => / messages\b/.test(line))]
  assert.ok(lines.length > 0)
  await apply(migration)
  await apply(migration)
  assert.deepEqual(await old(), rows)
  assert.deepEqual((await catalog()).filter((line) => / messages\b/.test(line)), lines)
})

test('every row is carried over, in order, and the table stays as it is', async () => {
  const [rows, schema] = [await old(), await catalog()]
  await sql`delete from realtime.messages`
  await apply(importing)
  assert.deepEqual(await old(), rows)
  assert.deepEqual(await catalog(), schema)
  for (const id of BOOKINGS) {
    const wanted = inOrder(first.filter((each) => each.booking_id === id))
    const found = await world.rows(id)
    assert.deepEqual(found.map((m) => m.id), wanted.map((each) => each.id))
    assert.deepEqual(found.map((m) => m.seq), wanted.map((_, index) => index + 1))
    for (const [index, m] of found.entries()) {
      const was = wanted[index]
      assert.deepEqual([m.content, m.sender_role, m.message_type, m.metadata, Date.parse(m.created_at)],
        [was.content, was.sender_role, 'text', was.metadata, was.created_at.getTime()])
      assert.deepEqual([m.kind, m.sender_id], ['message', users[was.sender_role].id])
    }
    assert.equal(await world.lastSeq(id), wanted.length)
    for (const member of await world.members(id)) assert.deepEqual([member.delivered_seq, member.read_seq], [wanted.length, wanted.length])
  }
  assert.equal((await sql`select from realtime.messages`).length, 0)
})

test('people go on where the old table ends, and a second import changes nothing', async () => {
  const [id] = BOOKINGS
  const last = await world.lastSeq(id)
  const next = row(id, 'new')
  const [answer] = await world.ways.http.send(operator, [next])
  assert.deepEqual([answer.status, answer.seq], ['stored', last + 1])
  const mine = first.find((each) => each.booking_id === id && each.sender_role === 'client')
  assert.deepEqual(statuses(await world.ways.http.send(client, [row(id, 'better', { kind: 'edit', target_id: mine.id })])), ['stored'])
  const [page] = await world.ways.http.sync(client, { [id]: { seq: last - 1 } })
  assert.deepEqual(page.rows.map((m) => [m.seq, m.content]), [[last, inOrder(first.filter((each) => each.booking_id === id)).at(-1).content], [last + 1, 'new'], [last + 2, 'better']])

  const before = [await world.rows(id), await world.members(id), await world.lastSeq(id)]
  await apply(importing)
  assert.deepEqual([await world.rows(id), await world.members(id), await world.lastSeq(id)], before)
})

test('rows that came later stand at the end, and what was unread stays unread', async () => {
  const [id] = BOOKINGS
  const last = await world.lastSeq(id)
  await world.ways.sql.ack(operator, [{ conversation_id: id, delivered: last, read: last - 1 }])
  const before = await world.rows(id)
  const later = [2, 1].map((n) => ({
    id: randomUUID(), booking_id: id, sender_role: 'client', content: `late ${n}`, message_type: 'text', metadata: {}, created_at: new Date(1.6e12 + n),
  }))
  await write(later)
  await apply(importing)
  const now = await world.rows(id)
  assert.deepEqual(now.slice(0, before.length), before)
  assert.deepEqual(now.slice(before.length).map((m) => [m.seq, m.content]), [[last + 1, 'late 1'], [last + 2, 'late 2']])
  const member = (await world.members(id)).find((k) => k.user_id === operator.id)
  assert.deepEqual([member.delivered_seq, member.read_seq], [last + 2, last - 1])
})

test('what is odd is carried over as far as it can be, and what is not is named', async () => {
  const odd = (more) => ({ id: randomUUID(), booking_id: GONE, sender_role: 'robot', content: 'x', message_type: 'text', metadata: null, created_at: new Date(), ...more })
  const rows = [
    odd({ content: null, message_type: null, sender_role: null, metadata: sql.json(['list']) }),
    odd({ message_type: 't'.repeat(300), booking_id: BOOKINGS[1] }),
    odd({ booking_id: null }), odd({ content: 'x'.repeat(65_537) }), odd({ metadata: { blob: 'x'.repeat(70_000) } }),
  ]
  const taken = row(BOOKINGS[0])
  await world.ways.sql.send(operator, [taken])
  rows.push(odd({ id: taken.id }))
  await write(rows)
  await apply(importing.replace(/^drop table import_result;$/m, 'create table public.outcome as table import_result; drop table import_result;'))
  const outcome = Object.fromEntries((await sql`select outcome, rows::int as rows from outcome`).map((each) => [each.outcome, each.rows]))
  await sql`drop table outcome`
  assert.deepEqual(outcome, {
    'carried over': 204,
    'not carried over: another conversation has a message with this id': 1,
    'not carried over: content of more than 65536 bytes': 1,
    'not carried over: metadata of more than 65536 bytes': 1,
    'not carried over: no booking, or an id of more than 200 characters': 1,
  })
  const [strange] = await world.rows(GONE)
  assert.deepEqual([strange.content, strange.message_type, strange.sender_role, strange.sender_id, strange.metadata],
    ['', 'text', 'member', null, { value: ['list'] }])
  assert.deepEqual(await world.members(GONE), [])
  assert.equal((await world.rows(BOOKINGS[1])).at(-1).message_type.length, 100)
})

test('while it runs, who sends waits, and nobody waits in a circle', async () => {
  const [id] = BOOKINGS
  const batch = Array.from({ length: 20 }, (_, n) => row(BOOKINGS[n % 2], `busy ${n}`))
  const sending = Array.from({ length: 8 }, (_, n) => world.ways.sql.send(n % 2 ? operator : client, batch.map((each) => ({ ...each, id: randomUUID() }))))
  const acking = Array.from({ length: 8 }, () => world.ways.sql.ack(operator, BOOKINGS.map((conversation_id) => ({ conversation_id, delivered: 1e6 }))))
  await write([{ id: randomUUID(), booking_id: id, sender_role: 'client', content: 'meanwhile', message_type: 'text', metadata: {}, created_at: new Date() }])
  const [answers] = await Promise.all([Promise.all(sending), Promise.all(acking), apply(importing)])
  assert.deepEqual([...new Set(answers.flat().map((each) => each.status))], ['stored'])
  for (const each of BOOKINGS) {
    const rows = await world.rows(each)
    assert.deepEqual(rows.map((m) => m.seq), rows.map((_, index) => index + 1))
    assert.equal(await world.lastSeq(each), rows.length)
  }
  assert.ok((await world.rows(id)).some((m) => m.content === 'meanwhile'))
})

test('an export is of one moment, also while people write', async () => {
  const [id] = BOOKINGS
  let busy = true
  const writing = (async () => {
    while (busy) await world.ways.sql.send(operator, [row(id, 'meanwhile'), row(id, 'and so on')])
  })()
  for (let n = 0; n < 10; n++) {
    await apply(exporting)
    const [found] = await sql`
      select c.last_seq::int as last_seq, (select max(m.seq)::int from exported_messages m where m.conversation_id = c.id) as newest
      from exported_conversations c where c.id = ${id}`
    await sql`drop table exported_messages, exported_members, exported_conversations`
    assert.equal(found.newest, found.last_seq)
  }
  busy = false
  await writing
})

test('the rollback says what it deletes, and takes nothing of the app: not the table, not the bookings, not an export', async () => {
  const [rows, list] = [await old(), await bookings()]
  const [held] = await sql`select (select count(*)::int from chat_conversations) as conversations,
    (select count(*)::int from chat_members) as members, (select count(*)::int from chat_messages) as messages`
  const messages = await sql`select to_jsonb(m) as m from chat_messages m order by m.conversation_id, m.seq`
  await apply(exporting)
  await assert.rejects(apply(exporting), { code: '42P07' })
  await sql.unsafe('drop trigger if exists chat_booking on public.bookings')
  const said = await apply(rollback)
  assert.ok(said.includes(`Deleting ${held.conversations} conversations, ${held.members} memberships and ${held.messages} messages.`), said)
  assert.deepEqual(await old(), rows)
  assert.deepEqual(await bookings(), list)
  const exported = await sql`select to_jsonb(m) as m from exported_messages m order by m.conversation_id, m.seq`
  assert.deepEqual([...exported], [...messages])
  assert.equal((await sql`select from exported_members`).length, held.members)

  await apply(migration)
  await apply(importing)
  assert.equal((await world.rows(BOOKINGS[1])).length > 0, true)
  assert.deepEqual(await old(), rows)
})
