import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { refused, row, startWorld, statuses, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client, stranger } = users
after(() => world.stop())

/** A conversation in which `count` messages with the contents 1, 2, 3... were written before. */
async function history(count) {
  const id = await world.conversation()
  await sql`
    insert into chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
    select gen_random_uuid(), ${id}, n, ${operator.id}, 'operator', n from generate_series(1, ${count}) n`
  const [{ incarnation }] = await sql`
    update chat_conversations set last_seq = ${count} where id = ${id} returning incarnation`
  return { id, incarnation, at: (seq) => ({ [id]: { seq, incarnation } }) }
}

function span(from, to) {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n)
}

function seqs(answer) {
  return answer.rows.map((m) => m.seq)
}

for (const [way, { send, sync, call }] of Object.entries(world.ways)) {
  describe(`chat_sync by ${way}`, () => {
    const one = async (cursors, max_rows) => (await sync(client, cursors, max_rows))[0]

    test('first contact gets the newest page', async () => {
      const { id, incarnation } = await history(73)
      const answer = await one({ [id]: { seq: null, incarnation: null } })
      assert.deepEqual(seqs(answer), span(24, 73))
      assert.deepEqual({ ...answer, rows: [] }, {
        conversation_id: id, status: 'ok', incarnation, last_seq: 73, through_seq: 73, first_seq: 24, rows: [],
        members: [operator, client]
          .map((user) => ({ user_id: user.id, role: user.role, delivered_seq: 0, read_seq: 0 }))
          .sort((a, b) => (a.user_id < b.user_id ? -1 : 1)),
      })
      assert.deepEqual(answer.rows[0], (await world.rows(id))[23])
    })

    test('a page that reaches the start says so', async () => {
      for (const count of [0, 1, 50]) {
        const { id } = await history(count)
        const answer = await one({ [id]: {} })
        assert.deepEqual([answer.first_seq, answer.through_seq, answer.last_seq], [1, count, count])
        assert.deepEqual(seqs(answer), span(1, count))
      }
    })

    test('a cursor gets what came after it, and nothing when there is nothing', async () => {
      const { at } = await history(60)
      const behind = await one(at(3))
      assert.deepEqual(seqs(behind), span(4, 60))
      assert.deepEqual([behind.first_seq, behind.through_seq], [4, 60])
      const level = await one(at(60))
      assert.deepEqual([level.first_seq, level.through_seq, level.last_seq, level.rows], [61, 60, 60, []])
      assert.deepEqual(seqs(await one(at(0))), span(1, 60))
    })

    test('an answer cut short says how far it goes, and is resumed without a gap', async () => {
      const [a, b, c] = [await history(120), await history(7), await history(95)]
      const cursors = { ...a.at(0), ...b.at(0), ...c.at(5) }
      const seen = { [a.id]: [], [b.id]: [], [c.id]: [] }
      let rounds = 0
      for (let open = true; open; rounds++) {
        const answers = await sync(client, cursors, 40)
        assert.equal(answers.length, 3)
        assert.ok(answers.reduce((sum, answer) => sum + answer.rows.length, 0) <= 40)
        for (const answer of answers) {
          assert.equal(answer.first_seq, cursors[answer.conversation_id].seq + 1)
          assert.deepEqual(seqs(answer), span(answer.first_seq, answer.through_seq))
          seen[answer.conversation_id].push(...seqs(answer))
          cursors[answer.conversation_id].seq = answer.through_seq
        }
        open = answers.some((answer) => answer.through_seq < answer.last_seq)
      }
      assert.deepEqual(seen, { [a.id]: span(1, 120), [b.id]: span(1, 7), [c.id]: span(6, 95) })
      assert.equal(rounds, Math.ceil((120 + 7 + 90) / 40))
    })

    test('first pages are whole or not there yet', async () => {
      const list = [await history(50), await history(80), await history(30), await history(50)]
      const cursors = Object.fromEntries(list.map(({ id }) => [id, { seq: null, incarnation: null }]))
      const answers = await sync(client, cursors, 100)
      const served = answers.filter((answer) => answer.through_seq === answer.last_seq)
      assert.deepEqual(served.map((answer) => answer.rows.length).sort(), [30, 50])
      for (const answer of answers.filter((answer) => !served.includes(answer))) {
        assert.deepEqual([answer.first_seq, answer.through_seq, answer.rows], [1, 0, []])
      }
      assert.deepEqual(seqs(await one({ [list[1].id]: {} }, 10)), span(71, 80))
    })

    test('another incarnation, or a cursor beyond the end, starts anew', async () => {
      const { id, incarnation } = await history(70)
      for (const cursor of [{ seq: 60, incarnation: uuid() }, { seq: 71, incarnation }, { seq: 1000, incarnation: null }]) {
        const answer = await one({ [id]: cursor })
        assert.deepEqual(seqs(answer), span(21, 70))
        assert.deepEqual([answer.first_seq, answer.through_seq, answer.incarnation], [21, 70, incarnation])
      }
      assert.deepEqual(seqs(await one({ [id]: { seq: 60, incarnation: incarnation.toUpperCase() } })), span(61, 70))

      await sql`delete from chat_conversations where id = ${id}`
      assert.equal((await one({ [id]: { seq: 60, incarnation } })).status, 'no_conversation')
      await call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: client.id, role: 'client' }] })
      const made = await one({ [id]: { seq: 60, incarnation } })
      assert.notEqual(made.incarnation, incarnation)
      assert.deepEqual([made.status, made.first_seq, made.through_seq, made.last_seq, made.rows], ['ok', 1, 0, 0, []])
    })

    test('what retention removed leaves no trace to ask for again', async () => {
      const { id, at } = await history(100)
      await sql`delete from chat_messages where conversation_id = ${id} and seq between 3 and 96`
      const whole = await one(at(1), 50)
      assert.deepEqual([seqs(whole), whole.first_seq, whole.through_seq], [[2, 97, 98, 99, 100], 2, 100])
      const cut = await one(at(1), 2)
      assert.deepEqual([seqs(cut), cut.through_seq], [[2, 97], 97])
      const page = await one({ [id]: {} })
      assert.deepEqual([seqs(page), page.first_seq, page.through_seq], [[97, 98, 99, 100], 51, 100])
    })

    test('history comes page by page, down to the first message', async () => {
      const { id, incarnation } = await history(120)
      const ask = (before) => one({ [id]: { before, incarnation } })
      const [above, below, last] = [await ask(71), await ask(21), await ask(1)]
      assert.deepEqual(seqs(above), span(21, 70))
      assert.deepEqual([above.status, above.first_seq, above.through_seq, above.last_seq], ['ok', 21, 70, 120])
      assert.deepEqual(seqs(below), span(1, 20))
      assert.deepEqual([below.first_seq, below.through_seq], [1, 20])
      assert.deepEqual([last.rows, last.first_seq, last.through_seq], [[], 1, 0])
      const beyond = await ask(500)
      assert.deepEqual([seqs(beyond), beyond.through_seq], [span(71, 120), 120])
      assert.equal((await ask(-3)).through_seq, 0)
    })

    test('history is counted in rows, and says when nothing older is left', async () => {
      const { id } = await history(200)
      await sql`delete from chat_messages where conversation_id = ${id} and seq between 61 and 140`
      const bridged = await one({ [id]: { before: 151 } })
      assert.deepEqual(seqs(bridged), [...span(21, 60), ...span(141, 150)])
      assert.equal(bridged.first_seq, 21)
      await sql`delete from chat_messages where conversation_id = ${id} and seq < 151`
      const first = await one({ [id]: {} })
      assert.deepEqual([seqs(first), first.first_seq], [span(151, 200), 1], 'the newest page is all there is')
      const none = await one({ [id]: { before: 151 } })
      assert.deepEqual([none.rows, none.first_seq, none.through_seq], [[], 1, 150])
    })

    test('history names the incarnation, and is for members', async () => {
      const { id, incarnation } = await history(60)
      assert.equal((await one({ [id]: { before: 30, incarnation: uuid() } })).incarnation, incarnation)
      const [refusal] = await sync(stranger, { [id]: { before: 30 } })
      assert.deepEqual([refusal.status, refusal.rows, refusal.first_seq, refusal.through_seq], ['forbidden', null, null, null])
    })

    test('history shares the limit with everything else', async () => {
      const [a, b] = [await history(120), await history(120)]
      const answers = await sync(client, { [a.id]: { before: 100 }, [b.id]: { before: 100 } }, 60)
      const [whole, none] = answers.sort((x, y) => y.rows.length - x.rows.length)
      assert.deepEqual([seqs(whole), whole.first_seq], [span(50, 99), 50])
      assert.deepEqual([none.rows, none.first_seq, none.through_seq], [[], 100, 99])
    })

    test('the limit has a limit', async () => {
      const { at } = await history(600)
      for (const [asked, got] of [[undefined, 200], [null, 200], [0, 1], [-5, 1], [10_000, 500]]) {
        const answer = await one(at(0), asked)
        assert.deepEqual([answer.rows.length, answer.through_seq], [got, got])
      }
    })

    describe('long rows', () => {
      const LENGTH = 60_000
      const size = (answers) => Buffer.byteLength(JSON.stringify(answers))
      /** Every third row is short; of the others the content is long, or the metadata (which do not shrink when stored). */
      const long = async (count) => {
        const made = await history(count)
        const noise = () => Array.from({ length: LENGTH / 40 }, uuid).join('').slice(0, LENGTH)
        for (let n = 1; n <= count; n++) {
          if (n % 3 === 1) await sql`update chat_messages set content = ${noise()} where conversation_id = ${made.id} and seq = ${n}`
          if (n % 3 === 2) await sql`update chat_messages set metadata = ${sql.json({ noise: noise() })} where conversation_id = ${made.id} and seq = ${n}`
        }
        return made
      }
      const limit = 1_000_000 + LENGTH + 50_000

      test('an answer is cut where it becomes too long, and resumed without a gap', async () => {
        const [a, b] = [await long(40), await long(12)]
        const cursors = { ...a.at(0), ...b.at(3) }
        const seen = { [a.id]: [], [b.id]: [] }
        let rounds = 0
        for (let open = true; open && rounds < 20; rounds++) {
          const answers = await sync(client, cursors)
          assert.ok(size(answers) < limit, `${size(answers)} bytes`)
          for (const answer of answers) {
            const from = cursors[answer.conversation_id].seq
            assert.deepEqual([answer.first_seq, answer.through_seq], [from + 1, from + answer.rows.length])
            assert.deepEqual(seqs(answer), span(from + 1, answer.through_seq))
            seen[answer.conversation_id].push(...seqs(answer))
            cursors[answer.conversation_id].seq = answer.through_seq
          }
          open = answers.some((answer) => answer.through_seq < answer.last_seq)
        }
        assert.deepEqual(seen, { [a.id]: span(1, 40), [b.id]: span(4, 12) })
        assert.ok(rounds > 1 && rounds < 5, `${rounds} requests`)
      })

      test('a page is the newest that fits, and the next one joins it', async () => {
        const { id, incarnation } = await long(40)
        const page = await one({ [id]: {} })
        assert.ok(size(page) < limit && page.rows.length >= 20, `${page.rows.length} rows of ${size(page)} bytes`)
        assert.deepEqual([seqs(page), page.through_seq], [span(page.first_seq, 40), 40])
        const below = await one({ [id]: { before: page.first_seq, incarnation } })
        assert.ok(size(below) < limit)
        assert.deepEqual([seqs(below), below.first_seq, below.through_seq], [span(1, page.first_seq - 1), 1, page.first_seq - 1])
        const first = await one({ [id]: { before: 2, incarnation } })
        assert.deepEqual([seqs(first), first.first_seq, first.through_seq], [[1], 1, 1])
      })

      test('of several pages some have no room, and every request brings some', async () => {
        const list = [await long(20), await long(20), await long(20)]
        const cursors = Object.fromEntries(list.map(({ id }) => [id, {}]))
        for (let rounds = 0; Object.keys(cursors).length > 0; rounds++) {
          assert.ok(rounds < list.length)
          const answers = await sync(client, cursors)
          assert.ok(size(answers) < limit, `${size(answers)} bytes`)
          assert.ok(answers.some(({ rows }) => rows.length > 0))
          for (const answer of answers) {
            if (answer.rows.length === 0) assert.deepEqual([answer.first_seq, answer.through_seq], [1, 0])
            else assert.deepEqual([seqs(answer), answer.through_seq], [span(answer.first_seq, 20), 20])
            if (answer.rows.length > 0) delete cursors[answer.conversation_id]
          }
        }
      })
    })

    test('carries edits and deletes as rows, with their targets as they are now', async () => {
      const id = await world.conversation()
      const [a, b] = [row(id, 'a'), row(id, 'b')]
      await send(operator, [
        a, b,
        { id: uuid(), conversation_id: id, kind: 'edit', target_id: a.id, content: 'A' },
        { id: uuid(), conversation_id: id, kind: 'delete', target_id: b.id },
      ])
      const { rows } = await one({ [id]: {} })
      assert.deepEqual(rows.map((m) => [m.kind, m.content, m.target_id, m.edited_at !== null, m.deleted_at !== null]), [
        ['message', 'A', null, true, false],
        ['message', '', null, false, true],
        ['edit', 'A', a.id, false, false],
        ['delete', '', b.id, false, false],
      ])
    })

    test('a stranger learns a status and nothing else', async () => {
      const { id } = await history(5)
      const answers = await sync(stranger, { [id]: { seq: 0, incarnation: null }, 'test-nowhere': { seq: null } })
      const nothing = { incarnation: null, last_seq: null, through_seq: null, first_seq: null, rows: null, members: null }
      answers.sort((x, y) => (x.status < y.status ? -1 : 1))
      assert.deepEqual(answers, [
        { conversation_id: id, status: 'forbidden', ...nothing },
        { conversation_id: 'test-nowhere', status: 'no_conversation', ...nothing },
      ])
    })

    test('a lost membership shows at once', async () => {
      const { id, at } = await history(3)
      await sql`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
      assert.equal((await one(at(3))).status, 'forbidden')
      assert.deepEqual(statuses(await sync(operator, at(3))), ['ok'])
    })

    test('answers 500 cursors at once', async () => {
      const prefix = uuid()
      await sql`insert into chat_conversations (id, last_seq) select ${prefix} || n, 3 from generate_series(1, 500) n`
      await sql`insert into chat_members (conversation_id, user_id) select ${prefix} || n, ${client.id}::uuid from generate_series(1, 500) n`
      await sql`
        insert into chat_messages (id, conversation_id, seq, sender_role, content)
        select gen_random_uuid(), ${prefix} || n, s, 'system', 'x' from generate_series(1, 500) n, generate_series(1, 3) s`
      const cursors = Object.fromEntries(span(1, 500).map((n) => [prefix + n, { seq: n <= 100 ? 1 : 3, incarnation: null }]))
      const started = performance.now()
      const answers = await sync(client, cursors)
      assert.ok(performance.now() - started < 3000)
      assert.equal(answers.length, 500)
      assert.equal(answers.reduce((sum, answer) => sum + answer.rows.length, 0), 200)
      assert.ok(answers.every((answer) => answer.status === 'ok' && answer.through_seq === 3 && answer.members.length === 1))
    })

    test('refuses what it cannot read, and another user', async () => {
      for (const cursors of [[], 5, null]) await refused(sync(client, cursors), '22023', 400)
      await refused(sync(client, { x: { seq: 'many' } }), '22P02', 400)
      assert.deepEqual(await sync(client, JSON.stringify({})), [])
      await refused(call(client, 'chat_sync', { expected_user: operator.id, cursors: {} }), 'PT401', 401)
      await refused(call(client, 'chat_sync', { expected_user: null, cursors: {} }), 'PT401', 401)
    })
  })

  describe(`chat_ack by ${way}`, () => {
    const { ack } = world.ways[way]
    const mark = async (id, delivered, read, user = client) => {
      const [answer] = await ack(user, [{ conversation_id: id, delivered, read }])
      return [answer.delivered_seq, answer.read_seq]
    }
    const member = async (id, user = client) => (await world.members(id)).find((k) => k.user_id === user.id)

    test('moves forward only, never beyond the end, and read implies delivered', async () => {
      const { id } = await history(10)
      assert.deepEqual(await ack(client, [{ conversation_id: id, delivered: 4, read: 2 }]), [
        { conversation_id: id, delivered_seq: 4, read_seq: 2 },
      ])
      assert.deepEqual(await mark(id, 3, 1), [4, 2])
      assert.deepEqual(await mark(id, 0, 6), [6, 6])
      assert.deepEqual(await mark(id, 99, 7), [10, 7])
      assert.deepEqual(await mark(id, 3, 8), [10, 8])
      assert.deepEqual(await mark(id, -5, -5), [10, 8])
      assert.deepEqual(await mark(id, null, undefined), [10, 8])
      assert.deepEqual(await mark(id, undefined, 99), [10, 10])
      assert.deepEqual(await mark(id, 1, 0, operator), [1, 0])
    })

    test('takes the time of a move, and writes nothing when there is none', async () => {
      const { id } = await history(5)
      await mark(id, 3, 0)
      const first = await member(id)
      assert.ok(first.delivered_at !== null && first.read_at === null)
      const [{ xmin }] = await sql`select xmin from chat_members where conversation_id = ${id} and user_id = ${client.id}`
      await mark(id, 3, 0)
      const [after] = await sql`select xmin from chat_members where conversation_id = ${id} and user_id = ${client.id}`
      assert.equal(after.xmin, xmin)
      await mark(id, 3, 3)
      const second = await member(id)
      assert.equal(second.delivered_at, first.delivered_at)
      assert.ok(second.read_at > first.delivered_at)
    })

    test('merges what is said twice about a conversation', async () => {
      const [a, b] = [await history(5), await history(5)]
      await sql`delete from realtime.messages`
      const answers = await ack(client, [
        { conversation_id: b.id, delivered: 1 }, { conversation_id: a.id, delivered: 5, read: 0 },
        { conversation_id: b.id, delivered: 2, read: 4 }, { conversation_id: b.id, delivered: 3 },
      ])
      assert.deepEqual(new Map(answers.map((x) => [x.conversation_id, [x.delivered_seq, x.read_seq]])), new Map([[a.id, [5, 0]], [b.id, [4, 4]]]))
      assert.equal((await world.liveEvents(b.id)).length, 2)
    })

    test('says nothing about conversations of others', async () => {
      const { id } = await history(5)
      assert.deepEqual(await ack(stranger, [{ conversation_id: id, delivered: 5 }, { conversation_id: 'test-nowhere', read: 1 }]), [])
      assert.deepEqual((await world.members(id)).map((k) => k.delivered_seq), [0, 0])
    })

    test('a new member starts at the end', async () => {
      const { id } = await history(5)
      await call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: stranger.id, role: 'guest' }] })
      const joined = await member(id, stranger)
      assert.deepEqual([joined.delivered_seq, joined.read_seq, joined.role], [5, 5, 'guest'])
    })

    test('refuses what it cannot read, and another user', async () => {
      for (const acks of [{}, 5, null]) await refused(ack(client, acks), '22023', 400)
      await refused(ack(client, [{ conversation_id: 'x', delivered: 'all' }]), '22P02', 400)
      assert.deepEqual(await ack(client, [null, 5, {}]), [])
      assert.deepEqual(await ack(client, JSON.stringify([])), [])
      await refused(call(client, 'chat_ack', { expected_user: operator.id, acks: [] }), 'PT401', 401)
    })
  })
}
