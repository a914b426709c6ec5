import assert from 'node:assert/strict'
import { after, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { refused, row, startWorld, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client, stranger } = users
after(() => world.stop())

beforeEach(async () => {
  await sql`delete from chat_conversations`
})

const byId = (answer) => Object.fromEntries(answer.conversations.map((entry) => [entry.conversation_id, entry]))
const idsOf = (answer) => answer.conversations.map((entry) => entry.conversation_id).sort()
const contents = (entry) => entry.rows.map((m) => m.content)

async function conversations(count) {
  const ids = []
  for (let n = 0; n < count; n++) ids.push(await world.conversation())
  return ids.sort()
}

for (const [way, { call, send, ack }] of Object.entries(world.ways)) {
  describe(`chat_list by ${way}`, () => {
    /** A set-returning call answers rows, a scalar one its value. */
    const list = async (user, args = {}) => [await call(user, 'chat_list', { expected_user: user.id, ...args })].flat()[0]

    test('the first answer names everything, with unread and last message, and the undelivered rows', async () => {
      const [a, b, c] = await conversations(3)
      await send(client, [row(a, 'one'), row(a, 'two')])
      await send(operator, [row(b, 'own')])
      const answer = await list(operator)
      assert.deepEqual([answer.full, answer.total, answer.sum, answer.ids], [true, 3, 3, null])
      const entries = byId(answer)
      assert.deepEqual(Object.keys(entries).sort(), [a, b, c])
      assert.deepEqual([a, b, c].map((id) => entries[id].unread), [2, 0, 0])
      assert.deepEqual([a, b, c].map((id) => entries[id].last_message?.content ?? null), ['two', 'own', null])
      assert.deepEqual(entries[a].last_message, (await world.rows(a))[1])
      assert.deepEqual(contents(entries[a]), ['one', 'two'])
      assert.deepEqual([entries[c].last_seq, entries[c].through_seq, entries[c].first_seq], [0, 0, 1])
      assert.equal(entries[a].members.length, 2)
    })

    test('only what changed since comes, with the rows that came with it', async () => {
      const [a, b, c] = await conversations(3)
      await send(client, [row(a, 'old'), row(b, 'old')])
      const { since } = await list(operator)
      assert.deepEqual(idsOf(await list(operator, { since, held: 3 })), [])
      await send(client, [row(b, 'new'), row(b, 'newer')])
      const news = await list(operator, { since, held: 3 })
      assert.deepEqual([news.full, news.total, news.sum, news.ids], [false, 3, 4, null])
      assert.deepEqual(idsOf(news), [b])
      const [entry] = news.conversations
      assert.deepEqual([contents(entry), entry.first_seq, entry.through_seq, entry.last_seq], [['new', 'newer'], 2, 3, 3])
      assert.equal(entry.unread, 3)
      await ack(client, [{ conversation_id: c, delivered: 0, read: 0 }, { conversation_id: a, delivered: 1, read: 1 }])
      const receipts = await list(operator, { since: news.since, held: 3 })
      assert.deepEqual(idsOf(receipts), [a])
      assert.deepEqual([receipts.conversations[0].rows, receipts.conversations[0].through_seq], [[], 1])
    })

    test('unread: messages of others above the own watermark, not deleted, no edits', async () => {
      const [id] = await conversations(1)
      const rows = ['one', 'two', 'three'].map((content) => row(id, content))
      await send(client, rows)
      await send(operator, [row(id, 'own')])
      await send(client, [row(id, 'TWO', { kind: 'edit', target_id: rows[1].id }), row(id, '', { kind: 'delete', target_id: rows[2].id })])
      await world.ways.sql.call('service_role', 'chat_post_system', { conversation_id: id, content: 'confirmed' })
      const [entry] = (await list(operator)).conversations
      assert.deepEqual([entry.unread, entry.last_seq], [3, 7])
      await ack(operator, [{ conversation_id: id, delivered: 7, read: 2 }])
      assert.equal((await list(operator)).conversations[0].unread, 1)
      assert.equal((await list(client)).conversations[0].unread, 2)
    })

    test('unread is counted up to a thousand, whatever has piled up', async () => {
      const [id] = await conversations(1)
      await sql`
        insert into chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
        select gen_random_uuid(), ${id}, n, ${client.id}, 'client', n from generate_series(1, 1200) n`
      await sql`update chat_conversations set last_seq = 1200 where id = ${id}`
      assert.equal((await list(operator)).conversations[0].unread, 1000)
      await ack(operator, [{ conversation_id: id, delivered: 1200, read: 201 }])
      assert.equal((await list(operator)).conversations[0].unread, 999)
    })

    test('the last message shows edits and deletes, and its text is cut', async () => {
      const [id] = await conversations(1)
      const last = row(id, 'ä'.repeat(1000), { metadata: { big: 'x'.repeat(2000) } })
      await send(client, [last])
      const shown = async () => (await list(operator)).conversations[0].last_message
      assert.deepEqual([(await shown()).content, (await shown()).metadata], ['ä'.repeat(300), {}])
      await send(client, [row(id, 'edited', { kind: 'edit', target_id: last.id })])
      assert.deepEqual([(await shown()).content, (await shown()).seq], ['edited', 1])
      await send(client, [row(id, '', { kind: 'delete', target_id: last.id })])
      assert.equal((await shown()).content, '')
      assert.ok((await shown()).deleted_at)
    })

    test('what is new is named, and what is gone is missing from the ids', async () => {
      const [a, b, c] = await conversations(3)
      const { since } = await list(operator)
      const added = await world.conversation()
      await sql`delete from chat_members where conversation_id = ${b} and user_id = ${operator.id}`
      const blind = await list(operator, { since, held: 3 })
      assert.deepEqual([idsOf(blind), blind.total, blind.ids], [[added], 3, null])
      const told = await list(operator, { since, held: 4 })
      assert.deepEqual(told.ids.sort(), [a, c, added].sort())
      await sql`delete from chat_members where user_id = ${operator.id}`
      const none = await list(operator, { since: told.since, held: 3 })
      assert.deepEqual([none.ids, none.total, none.sum, none.conversations], [[], 0, 0, []])
      assert.deepEqual((await list(stranger)).conversations, [])
    })

    test('who stays learns that somebody came, has another role, or went', async () => {
      const [id] = await conversations(3)
      let { since } = await list(operator)
      const people = async () => {
        const news = await list(operator, { since, held: 3 })
        since = news.since
        return news.conversations.map((entry) => [entry.conversation_id, entry.rows, entry.members.map((k) => k.role).sort()])
      }
      const ensure = (user, role) => world.ways.sql.call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: user.id, role }] })
      await ensure(stranger, 'guide')
      assert.deepEqual(await people(), [[id, [], ['client', 'guide', 'operator']]])
      await ensure(stranger, 'guest')
      assert.deepEqual(await people(), [[id, [], ['client', 'guest', 'operator']]])
      await world.fetchAs('service_role', `chat_members?conversation_id=eq.${id}&user_id=eq.${client.id}`, { method: 'DELETE' })
      assert.deepEqual(await people(), [[id, [], ['guest', 'operator']]])
      assert.deepEqual(await people(), [])
    })

    test('a conversation made anew comes with its new incarnation and all its rows', async () => {
      const [id] = await conversations(1)
      await send(client, [row(id, 'old')])
      const { since } = await list(operator)
      await sql`delete from chat_conversations where id = ${id}`
      await world.ways.sql.call('service_role', 'chat_ensure', {
        conversation_id: id, members: [operator, client].map((user) => ({ user_id: user.id, role: user.role })),
      })
      await send(client, [row(id, 'anew')])
      const [entry] = (await list(operator, { since, held: 1 })).conversations
      assert.deepEqual([contents(entry), entry.first_seq, entry.last_seq], [['anew'], 1, 1])
    })

    test('a number from another life of the database is no number', async () => {
      await conversations(2)
      const { since } = await list(operator)
      for (const odd of [since + 2 ** 40, 0, 1, -5]) assert.equal((await list(operator, { since: odd })).full, true, `${odd}`)
    })

    test('a cursor of the client goes before, and refusals are told', async () => {
      const [a, b] = await conversations(2)
      await send(client, ['one', 'two', 'three'].map((content) => row(a, content)))
      await sql`delete from chat_members where conversation_id = ${b} and user_id = ${operator.id}`
      const { since } = await list(operator)
      const gone = `gone-${uuid()}`
      const answer = byId(await list(operator, { since, held: 1, cursors: { [a]: { seq: 1 }, [b]: { seq: 0 }, [gone]: {} } }))
      assert.deepEqual(contents(answer[a]), ['two', 'three'])
      assert.deepEqual([answer[b].status, answer[b].last_message, answer[gone].status], ['forbidden', null, 'no_conversation'])
    })

    test('the rows share one limit; what is left over is named', async () => {
      const ids = await conversations(3)
      for (const id of ids) await send(client, Array.from({ length: 30 }, (_, n) => row(id, `${n}`)))
      const { since } = await list(operator, { max_rows: 50 })
      for (const id of ids) await send(client, Array.from({ length: 30 }, (_, n) => row(id, `new ${n}`)))
      for (const args of [{ max_rows: 50 }, { max_rows: 50, since, held: 3 }]) {
        const { conversations: entries } = await list(operator, args)
        assert.equal(entries.reduce((sum, entry) => sum + entry.rows.length, 0), 50)
        for (const entry of entries) {
          assert.equal(entry.last_seq, 60)
          assert.equal(entry.through_seq, entry.first_seq - 1 + entry.rows.length)
        }
      }
    })

    test('nobody asks in another name', async () => {
      await refused(call(client, 'chat_list', { expected_user: operator.id }), 'PT401', 401)
      await refused(call('anon', 'chat_list', { expected_user: operator.id }), '42501', 401)
      await refused(list(operator, { cursors: [] }), '22023', 400)
    })
  })
}

test('nothing is missed by the number, whoever commits when: eight writers with pauses and rollbacks', { timeout: 120_000 }, async () => {
  const ids = await conversations(6)
  const { send, ack } = world.ways.sql
  const ask = async (args) => (await world.ways.sql.call(operator, 'chat_list', { expected_user: operator.id, ...args }))[0]
  let busy = true
  let state = 17
  const dice = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32

  const writer = async (n) => {
    for (let round = 0; round < 40; round++) {
      const id = ids[Math.floor(dice() * ids.length)]
      const undo = dice() < 0.1
      const pause = dice() < 0.3 ? 10 : 0
      const work = async (tx) => {
        // Its number is given out here, long before it takes the lock of a conversation and commits.
        await tx`select pg_current_xact_id()`
        await sleep(dice() * 10)
        await world.actAs(tx, client)
        await world.callIn(tx, 'chat_send', { expected_user: client.id, batch: [row(id, `${n}:${round}`)] })
        await sleep(pause)
      }
      if (undo) await world.undone(work)
      else await sql.begin(work)
      if (dice() < 0.2) await ack(client, [{ conversation_id: id, delivered: Math.floor(dice() * 50), read: 0 }])
    }
  }

  // A reader that believes nothing but the answers: it never asks with a cursor of its own.
  const held = new Map()
  let since = null
  let answers = 0
  let entries = 0
  const read = async () => {
    const answer = await ask({ since, held: held.size, max_rows: 500 })
    answers++
    entries += answer.conversations.length
    for (const entry of answer.conversations) {
      const known = held.get(entry.conversation_id) ?? { rows: new Map(), last: 0 }
      assert.ok(entry.first_seq <= known.last + 1, `rows ${entry.first_seq} to ${entry.last_seq} do not join ${known.last}`)
      assert.equal(entry.through_seq, entry.last_seq)
      for (const m of entry.rows) known.rows.set(m.seq, m.content)
      held.set(entry.conversation_id, { ...known, last: entry.last_seq, unread: entry.unread, members: entry.members })
    }
    since = answer.since
    assert.equal([...held.values()].reduce((sum, { last }) => sum + last, 0), answer.sum)
    assert.equal(held.size, answer.total)
  }
  const reader = (async () => {
    while (busy) await read()
  })()
  await Promise.all(Array.from({ length: 8 }, (_, n) => writer(n)))
  busy = false
  await reader
  await read()

  let stored = 0
  for (const id of ids) {
    const rows = await world.rows(id)
    stored += rows.length
    const { last, unread, members, rows: seen } = held.get(id) ?? { last: 0, unread: 0, rows: new Map() }
    assert.deepEqual([last, unread, seen.size], [rows.length, rows.length, rows.length])
    if (members) assert.deepEqual(members.map((m) => m.delivered_seq).sort(), (await world.members(id)).map((m) => m.delivered_seq).sort())
  }
  console.log(`# ${stored} rows stored, 0 missed by ${answers} answers naming ${entries} conversations in all`)
  assert.ok(stored > 200)
})
