import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import postgres from 'postgres'
import { row, startWorld, statuses, supabaseFile, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client, stranger } = users
const { send, sync } = world.ways.http
after(() => world.stop())

const template = await supabaseFile('templates/bookings.sql')
const applyTemplate = () =>
  sql.begin(async (tx) => {
    await tx`set local role postgres`
    await tx.unsafe(template)
  })

/** A booking made by the operator over the Data API, as the app would. */
async function book(more = {}) {
  const body = { title: 'Harbour tour', customer: 'Mara', starts_at: '2027-01-01T10:00:00Z', operator_id: operator.id, client_id: client.id, ...more }
  const [booking] = await world.fetchAs(operator, 'bookings', { method: 'POST', body, headers: { prefer: 'return=representation' } })
  return booking
}

function change(id, body) {
  return world.fetchAs(operator, `bookings?id=eq.${id}`, { method: 'PATCH', body })
}

async function roles(conversation) {
  return Object.fromEntries((await world.members(conversation)).map((k) => [k.role, k.user_id]))
}

describe('the template for bookings', () => {
  test('gives the bookings that were there their conversations', async () => {
    const known = await sql`select id from bookings`
    assert.ok(known.length > 0)
    await sql`delete from chat_conversations`
    await applyTemplate()
    for (const { id } of known) assert.deepEqual(await roles(id), { operator: operator.id, client: client.id })
  })

  test('may be applied again', async () => {
    const [{ id }] = await sql`select id from bookings`
    await send(client, [row(id)])
    const before = [await world.members(id), await world.rows(id)]
    await applyTemplate()
    assert.deepEqual([await world.members(id), await world.rows(id)], before)
  })

  test('a new booking is a conversation of its two parties', async () => {
    const { id } = await book()
    assert.deepEqual(await roles(id), { operator: operator.id, client: client.id })
    assert.equal((await send(client, [row(id)]))[0].sender_role, 'client')
    assert.deepEqual(statuses(await send(stranger, [row(id)])), ['forbidden'])
  })

  test('a booking without a client gets one later', async () => {
    const { id } = await book({ client_id: null })
    assert.deepEqual(await roles(id), { operator: operator.id })
    await send(operator, [row(id), row(id)])
    await change(id, { client_id: client.id })
    const joined = (await world.members(id)).find((k) => k.user_id === client.id)
    assert.deepEqual([joined.role, joined.delivered_seq, joined.read_seq], ['client', 2, 2])
  })

  test('another client takes the place of the first, who sees and writes nothing any more', async () => {
    const { id } = await book()
    await send(client, [row(id, 'from the first')])
    await change(id, { client_id: stranger.id })
    assert.deepEqual(await roles(id), { operator: operator.id, client: stranger.id })
    assert.deepEqual(statuses(await send(client, [row(id)])), ['forbidden'])
    assert.equal((await sync(client, { [id]: { seq: 0, incarnation: null } }))[0].status, 'forbidden')
    assert.equal((await sync(stranger, { [id]: {} }))[0].rows.length, 1)
    await change(id, { client_id: null })
    assert.deepEqual(await roles(id), { operator: operator.id })
  })

  test('parties that change places stay, with their watermarks', async () => {
    const { id } = await book()
    await send(operator, [row(id)])
    await world.ways.http.ack(client, [{ conversation_id: id, delivered: 1, read: 1 }])
    await sql`update bookings set operator_id = client_id, client_id = operator_id where id = ${id}`
    const members = await world.members(id)
    assert.deepEqual(members.map((k) => [k.role, k.user_id, k.read_seq]), [['client', operator.id, 0], ['operator', client.id, 1]])
  })

  test('one user in both columns is one member', async () => {
    const { id } = await book({ client_id: operator.id })
    assert.deepEqual(await roles(id), { operator: operator.id })
    await change(id, { client_id: null })
    assert.deepEqual(await roles(id), { operator: operator.id })
  })

  test('somebody added by hand stays through all of it', async () => {
    const { id } = await book()
    await world.ways.http.call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: stranger.id, role: 'guide' }] })
    await change(id, { client_id: null, title: 'Old town on foot' })
    assert.deepEqual(await roles(id), { operator: operator.id, guide: stranger.id })
  })

  test('a change of status is a message of the system, once', async () => {
    const { id } = await book({ status: 'requested' })
    await change(id, { status: 'confirmed' })
    await change(id, { status: 'confirmed' })
    await change(id, { title: 'Sunset sailing' })
    const [message, ...more] = await world.rows(id)
    assert.deepEqual(more, [])
    assert.deepEqual(
      [message.content, message.sender_id, message.sender_role, message.message_type, message.metadata],
      ['The booking is now confirmed.', null, 'system', 'system', { event: 'status', from: 'requested', to: 'confirmed' }],
    )
  })

  test('an update that changes nobody locks nothing of the chat', async () => {
    const { id } = await book()
    await sql.begin(async (tx) => {
      await tx`update bookings set title = 'Kayaks', operator_id = operator_id where id = ${id}`
      const locked = await tx`
        select c.relname from pg_locks l join pg_class c on c.oid = l.relation
        where l.pid = pg_backend_pid() and l.mode in ('RowShareLock') and c.relname like 'chat\\_%'`
      assert.deepEqual([...locked], [])
      const [answer] = await send(operator, [row(id)])
      assert.equal(answer.status, 'stored')
      await world.ways.http.ack(client, [{ conversation_id: id, delivered: 1 }])
    })
  })

  test('deleting a booking keeps its conversation', async () => {
    const { id } = await book()
    await send(operator, [row(id)])
    await sql`delete from bookings where id = ${id}`
    assert.equal((await world.rows(id)).length, 1)
  })
})

describe('chat_follow on other tables', () => {
  const table = async (columns, follow, work) => {
    const name = `app_${uuid().replaceAll('-', '')}`
    await sql.unsafe(`
      create table public.${name} (${columns});
      create trigger chat after insert or update on public.${name} for each row execute function public.chat_follow(${follow})`).simple()
    try {
      await work(name)
    } finally {
      await sql.unsafe(`drop table public.${name}`)
    }
  }

  test('takes ids of any type', async () => {
    const first = 1_000_000 + Math.floor(Math.random() * 1e9)
    await table('no bigint primary key, owner text', `'no', 'owner:owner'`, async (name) => {
      await sql.unsafe(`insert into ${name} values ($1, $2)`, [first, client.id])
      assert.deepEqual(await roles(String(first)), { owner: client.id })
      await sql.unsafe(`update ${name} set owner = $1`, [operator.id])
      assert.deepEqual(await roles(String(first)), { owner: operator.id })
    })
  })

  const mistakes = {
    'a column that is not there': ['id text, owner uuid', `'id', 'owner:nobody'`],
    'an id column that is not there': ['id text, owner uuid', `'number', 'owner:owner'`],
    'no arguments': ['id text, owner uuid', ''],
    'a user id that is no uuid': ['id text, owner text', `'id', 'owner:owner'`, 'mara'],
  }
  for (const [what, [columns, follow, owner = client.id]] of Object.entries(mistakes)) {
    test(`keeps the app's row and warns: ${what}`, async () => {
      const id = `test-${uuid()}`
      const warnings = []
      const app = postgres({ ...sql.options, max: 1, onnotice: ({ severity, message }) => warnings.push([severity, message]) })
      try {
        await table(columns, follow, async (name) => {
          await app.unsafe(`insert into ${name} (id, owner) values ($1, $2)`, [id, owner])
          await app.unsafe(`update ${name} set id = id`)
          assert.equal((await app.unsafe(`select from ${name}`)).length, 1)
          assert.deepEqual(await roles(id), {})
          assert.equal(warnings.length, 2)
          for (const [severity, message] of warnings) {
            assert.equal(severity, 'WARNING')
            assert.ok(message.startsWith(`chat_follow on ${name}: `), message)
          }
        })
      } finally {
        await app.end()
      }
    })
  }

  test('keeps the row when the chat is damaged', async () => {
    const id = `test-${uuid()}`
    await table('id text, owner uuid', `'id', 'owner:owner'`, (name) =>
      world.undone(async (tx) => {
        await tx.unsafe('drop table chat_members cascade')
        await tx.unsafe(`insert into ${name} values ($1, $2)`, [id, client.id])
        assert.equal((await tx.unsafe(`select from ${name}`)).length, 1)
      }),
    )
  })
})
