import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { row, startWorld, statuses, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client, stranger } = users
const { send, ack } = world.ways.http
after(() => world.stop())

const inbox = (user) => `chat-user:${user.id}`
const inboxes = (...list) => list.map(inbox).sort()

const forget = () => sql`delete from realtime.messages`
beforeEach(forget)

/** A conversation of operator and client, of which everybody has been told. */
async function settled(...members) {
  const id = await world.conversation(...members)
  await forget()
  return id
}

/** Who was told that members changed, how often. */
async function toldOfMembers() {
  const events = await sql`select topic, event, private, extension, payload from realtime.messages order by topic`
  for (const { payload, topic, ...rest } of events) {
    assert.deepEqual([rest, Object.keys(payload)], [{ event: 'members', private: true, extension: 'broadcast' }, ['id']])
  }
  return events.map(({ topic }) => topic)
}

describe('live events', () => {
  test('a new row reaches the inbox of every member, and no other topic', async () => {
    const id = await settled()
    const [answer] = await send(operator, [row(id, 'hi', { metadata: { n: 1 } })])
    const events = await sql`select * from realtime.messages order by topic`
    assert.deepEqual(events.map((e) => e.topic), inboxes(operator, client))
    const [stored] = await world.rows(id)
    const [{ incarnation }] = await sql`select incarnation from chat_conversations where id = ${id}`
    for (const event of events) {
      assert.deepEqual([event.event, event.private, event.extension], ['message', true, 'broadcast'])
      assert.deepEqual(event.payload, { conversation_id: id, incarnation, seq: 1, id: answer.id, row: stored })
    }
  })

  test('duplicates, refusals and skipped rows are not announced', async () => {
    const id = await settled()
    const message = row(id)
    await send(operator, [message])
    await sql`delete from realtime.messages`
    const answers = await send(operator, [message, row(id, null), row(id)])
    assert.deepEqual(statuses(answers), ['duplicate', 'rejected:23502', 'skipped'])
    assert.equal((await sql`select from realtime.messages`).length, 0)
  })

  test('edits, deletes and system messages are announced as rows', async () => {
    const id = await settled()
    const message = row(id, 'a')
    await send(operator, [
      message,
      row(id, 'b', { kind: 'edit', target_id: message.id }),
      { id: uuid(), conversation_id: id, kind: 'delete', target_id: message.id },
    ])
    await world.ways.http.call('service_role', 'chat_post_system', { conversation_id: id, content: 'over' })
    const events = await sql`
      select payload -> 'row' ->> 'kind' as kind, payload -> 'row' ->> 'sender_role' as role from realtime.messages
      where topic = ${inbox(client)} order by (payload ->> 'seq')::int`
    assert.deepEqual(events.map((e) => [e.kind, e.role]), [
      ['message', 'operator'], ['edit', 'operator'], ['delete', 'operator'], ['message', 'system'],
    ])
  })

  test('a long row is announced without its contents', async () => {
    const id = await settled()
    const long = [row(id, 'x'.repeat(4097)), row(id, '€'.repeat(1366)), row(id, 'x', { metadata: { blob: 'x'.repeat(4097) } })]
    const short = row(id, 'x'.repeat(4096))
    const answers = await send(operator, [...long, short])
    const events = await sql`select payload from realtime.messages where topic = ${inbox(client)} order by (payload ->> 'seq')::int`
    for (const [nth, { payload }] of events.slice(0, 3).entries()) {
      const { id: message, seq } = answers[nth]
      assert.deepEqual(payload, { conversation_id: id, incarnation: payload.incarnation, seq, id: message })
    }
    assert.equal(events[3].payload.row.content.length, 4096)
  })

  test('a receipt reaches every member once per change', async () => {
    const id = await settled()
    await send(operator, [row(id), row(id)])
    await sql`delete from realtime.messages`
    await ack(client, [{ conversation_id: id, delivered: 2, read: 1 }])
    await ack(client, [{ conversation_id: id, delivered: 2, read: 1 }])
    const events = await world.liveEvents(id)
    assert.deepEqual(events.map((e) => e.topic), inboxes(operator, client))
    for (const { event, private: hidden, extension, payload } of events) {
      const { id: added, incarnation, ...receipt } = payload // realtime.send gives every event an id
      assert.deepEqual([event, hidden, extension], ['receipt', true, 'broadcast'])
      assert.match(incarnation, /^[0-9a-f-]{36}$/)
      assert.deepEqual(receipt, { conversation_id: id, user_id: client.id, role: 'client', delivered_seq: 2, read_seq: 1 })
    }
  })

  test('who joins is told, and who is there already, each once in a transaction', async () => {
    const id = await world.conversation()
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client))
    await forget()
    const ensure = (members) => world.ways.http.call('service_role', 'chat_ensure', { conversation_id: id, members })
    await ensure([{ user_id: stranger.id, role: 'guide' }])
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client, stranger))
    await forget()
    await ensure([{ user_id: stranger.id, role: 'guide' }])
    assert.deepEqual(await toldOfMembers(), [], 'nothing has changed')
  })

  test('a new role is told to everybody there', async () => {
    const id = await settled()
    await world.ways.http.call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: client.id, role: 'guest' }] })
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client))
  })

  test('who leaves is told, and who stays', async () => {
    const id = await settled(operator, client, stranger)
    await world.fetchAs('service_role', `chat_members?conversation_id=eq.${id}&user_id=eq.${client.id}`, { method: 'DELETE' })
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client, stranger))
    await forget()
    await world.fetchAs('service_role', `chat_conversations?id=eq.${id}`, { method: 'DELETE' })
    assert.deepEqual(await toldOfMembers(), inboxes(operator, stranger))
  })

  test('what is undone is told to nobody, and does not count as told', async () => {
    const id = await settled()
    await sql.begin(async (tx) => {
      await tx.savepoint(async (inner) => {
        await inner`delete from chat_members where conversation_id = ${id}`
        throw new Error('undo')
      }).catch(() => {})
      assert.equal((await tx`select from realtime.messages`).length, 0)
      await tx`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
    })
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client))
  })

  test('one transaction tells each of its people once, and not more than a hundred', async () => {
    const people = Array.from({ length: 150 }, uuid)
    await sql.begin(async (tx) => {
      for (const person of people) {
        const members = [{ user_id: operator.id, role: 'operator' }, { user_id: person, role: 'client' }]
        await tx`select chat_ensure(${`bulk-${person}`}, ${tx.json(members)})`
      }
    })
    const told = await toldOfMembers()
    assert.deepEqual([told.length, new Set(told).size, told.includes(inbox(operator))], [100, 100, true])
    const id = await settled()
    await sql`delete from chat_members where conversation_id = ${id}`
    assert.deepEqual(await toldOfMembers(), inboxes(operator, client), 'the next transaction begins anew')
    await sql`delete from chat_conversations where id like 'bulk-%'`
  })

  const broken = {
    'is not there': 'drop function realtime.send(jsonb, text, text, boolean)',
    'raises': `create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
      returns void language plpgsql as $$ begin raise exception 'no'; end $$`,
    'has no table': 'drop table realtime.messages',
    'has no schema': 'drop schema realtime cascade',
  }
  for (const [how, statement] of Object.entries(broken)) {
    test(`messages, receipts and members are stored when realtime.send ${how}`, async () => {
      const id = await world.conversation()
      await world.undone(async (tx) => {
        await tx.unsafe(statement)
        await world.actAs(tx, operator)
        const batch = [row(id), row(id)]
        assert.deepEqual(statuses(await world.callIn(tx, 'chat_send', { expected_user: operator.id, batch })), ['stored', 'stored'])
        const acks = [{ conversation_id: id, delivered: 2, read: 1 }]
        const [answer] = await world.callIn(tx, 'chat_ack', { expected_user: operator.id, acks })
        assert.deepEqual([answer.delivered_seq, answer.read_seq], [2, 1])
        await world.actAs(tx, 'service_role')
        const members = [{ user_id: stranger.id, role: 'guide' }]
        await world.callIn(tx, 'chat_ensure', { conversation_id: id, members })
        const version = async () => (await tx`select max(ctid::text) as v from chat_members where conversation_id = ${id} and user_id <> ${client.id}`)[0].v
        const before = await version()
        await tx`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
        assert.equal((await tx`select from chat_members where conversation_id = ${id}`).length, 2)
        assert.notEqual(await version(), before, 'chat_list still names it to those who stay')
      })
    })
  }
})

describe('the policy on realtime.messages', () => {
  /** What the Realtime server would let this user receive on a topic. */
  const visible = (user, topic) =>
    sql.begin(async (tx) => {
      await world.actAs(tx, user)
      await tx`select set_config('realtime.topic', ${topic}, true)`
      return tx`select topic, extension from realtime.messages`
    })
  const probe = (topic) => sql`
    insert into realtime.messages (topic, extension, event, private)
    values (${topic}, 'broadcast', 'probe', true), (${topic}, 'presence', 'probe', true)`

  test('a user may read the own inbox, broadcasts only', async () => {
    await probe(inbox(operator))
    assert.deepEqual((await visible(operator, inbox(operator))).map((e) => e.extension), ['broadcast'])
  })

  test('and no other topic', async () => {
    const id = await settled()
    for (const topic of [inbox(operator), 'chat-user:', `${inbox(client)}x`, `chat:${id}x`, 'chat:', id, 'other']) {
      await probe(topic)
      assert.equal((await visible(client, topic)).length, 0, topic)
      assert.equal((await visible(stranger, topic)).length, 0, topic)
      assert.equal((await visible('anon', topic)).length, 0, topic)
      assert.equal((await visible({ role: 'authenticated' }, topic)).length, 0, topic)
    }
  })

  test('nobody may send into an inbox', async () => {
    for (const user of [operator, 'anon']) {
      await assert.rejects(
        sql.begin(async (tx) => {
          await world.actAs(tx, user)
          await tx`insert into realtime.messages (topic, extension, event, private) values (${inbox(operator)}, 'broadcast', 'forged', true)`
        }),
        { code: '42501' },
      )
    }
  })

  test('it cannot raise, whatever the token says', async () => {
    const conversation = `chat:${await settled()}`
    await probe('other')
    await probe(conversation)
    for (const id of ['auth0|5f7c', '', `'; drop table x`, 'null']) {
      for (const topic of ['other', inbox(operator), conversation]) assert.equal((await visible({ id }, topic)).length, 0)
    }
  })

  test('a member sees who is on the topic of a conversation, nobody else does', async () => {
    const topic = `chat:${await settled()}`
    await probe(topic)
    for (const user of [operator, client]) {
      const seen = await visible(user, topic)
      assert.deepEqual(seen.map((e) => e.extension).sort(), ['broadcast', 'presence'])
    }
    for (const user of [stranger, 'anon', { role: 'authenticated' }]) assert.equal((await visible(user, topic)).length, 0)
  })

  const says = (user, topic, extension) =>
    sql.begin(async (tx) => {
      await world.actAs(tx, user)
      await tx`select set_config('realtime.topic', ${topic}, true)`
      await tx`insert into realtime.messages (topic, extension, event, private) values (${topic}, ${extension}, 'typing', true)`
    })

  test('a member may say something there, nobody else may, and nothing but typing and presence', async () => {
    const id = await settled()
    for (const extension of ['broadcast', 'presence']) {
      await says(operator, `chat:${id}`, extension)
      for (const user of [stranger, 'anon']) await assert.rejects(says(user, `chat:${id}`, extension), { code: '42501' })
      for (const topic of [inbox(operator), `chat:${id}x`, 'chat:', 'other']) await assert.rejects(says(operator, topic, extension), { code: '42501' })
    }
    await assert.rejects(says(operator, `chat:${id}`, 'postgres_changes'), { code: '42501' })
  })

  test('who is a member no more sees and says nothing there', async () => {
    const id = await settled()
    await sql`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
    await forget()
    await probe(`chat:${id}`)
    assert.equal((await visible(client, `chat:${id}`)).length, 0)
    await assert.rejects(says(client, `chat:${id}`, 'broadcast'), { code: '42501' })
    assert.equal((await visible(operator, `chat:${id}`)).length, 2)
  })
})
