import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { refused, row, startWorld, statuses, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users } = world
const { operator, client, stranger } = users
after(() => world.stop())

for (const [way, { send }] of Object.entries(world.ways)) {
  describe(`chat_send by ${way}`, () => {
    test('stores a batch in its order and answers row by row', async () => {
      const [a, b] = [await world.conversation(), await world.conversation()]
      const batch = [row(b, 'b1'), row(a, 'a1'), row(b, 'b2', { message_type: 'note', metadata: { n: 1 } }), row(a, 'a2')]
      const answers = await send(operator, batch)

      assert.deepEqual(answers.map(({ created_at, ...rest }) => rest), batch.map(({ id, conversation_id, content }, n) => ({
        id, conversation_id, content, status: 'stored', seq: n < 2 ? 1 : 2, sender_role: 'operator', kind: 'message',
      })))
      assert.match(answers[0].created_at, /^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/)
      const stored = await world.rows(b)
      assert.deepEqual(stored[1], {
        id: batch[2].id, conversation_id: b, seq: 2, kind: 'message', target_id: null, sender_id: operator.id,
        sender_role: 'operator', content: 'b2', message_type: 'note', metadata: { n: 1 }, created_at: answers[2].created_at,
        edited_at: null, deleted_at: null,
      })
      assert.ok(stored[0].created_at < stored[1].created_at)
      assert.equal((await send(client, [row(a)]))[0].sender_role, 'client')
    })

    test('answers a repeated batch with what is stored, and takes only what is new', async () => {
      const id = await world.conversation()
      const batch = [row(id, 'one'), row(id, 'two')]
      const first = await send(operator, batch)
      const again = await send(operator, batch)
      assert.deepEqual(again, first.map((answer) => ({ ...answer, status: 'duplicate' })))

      const more = await send(operator, [...batch, row(id, 'three'), batch[0]])
      assert.deepEqual(statuses(more), ['duplicate', 'duplicate', 'stored', 'duplicate'])
      assert.deepEqual(more.map((answer) => answer.seq), [1, 2, 3, 1])

      const other = { ...batch[0], content: 'not this' }
      assert.equal((await send(operator, [other]))[0].content, 'one')
      assert.equal(await world.lastSeq(id), 3)
    })

    test('takes a row twice in one batch once', async () => {
      const id = await world.conversation()
      const message = row(id)
      assert.deepEqual(statuses(await send(operator, [message, message])), ['stored', 'duplicate'])
    })

    test('stops a conversation at its first refusal, and only that one', async () => {
      const [a, b] = [await world.conversation(), await world.conversation()]
      const bad = row(a, null)
      const batch = [row(a, 'a1'), bad, row(b, 'b1'), row(a, 'a3'), row(b, 'b2'), row(a, 'a4')]
      const answers = await send(operator, batch)
      assert.deepEqual(statuses(answers), ['stored', 'rejected:23502', 'stored', 'skipped', 'stored', 'skipped'])
      assert.deepEqual(answers[3], {
        id: batch[3].id, conversation_id: a, status: 'skipped', seq: null, created_at: null, sender_role: null, kind: null, content: null,
      })

      const repeated = await send(operator, batch)
      assert.deepEqual(statuses(repeated), ['duplicate', 'rejected:23502', 'duplicate', 'skipped', 'duplicate', 'skipped'])

      const passed = await send(operator, batch.filter((item) => item !== bad))
      assert.deepEqual(statuses(passed), ['duplicate', 'duplicate', 'stored', 'duplicate', 'stored'])
      assert.deepEqual((await world.rows(a)).map((m) => [m.seq, m.content]), [[1, 'a1'], [2, 'a3'], [3, 'a4']])
    })

    test('skips stored rows behind a refusal as well', async () => {
      const id = await world.conversation()
      const stored = row(id)
      await send(operator, [stored])
      assert.deepEqual(statuses(await send(operator, [row(id, null), stored])), ['rejected:23502', 'skipped'])
    })

    const malformed = {
      'an id that is no uuid': [(id) => row(id, 'x', { id: 'nonsense' }), 'rejected:22P02'],
      'no id': [(id) => ({ conversation_id: id, content: 'x' }), 'rejected:23502'],
      'no content': [(id) => ({ id: uuid(), conversation_id: id }), 'rejected:23502'],
      'a null content': [(id) => row(id, null), 'rejected:23502'],
      'a content of 65537 bytes': [(id) => row(id, `${'ä'.repeat(32768)}.`), 'rejected:23514'],
      'an unknown kind': [(id) => row(id, 'x', { kind: 'shout' }), 'rejected:23514'],
      'a target on a message': [(id) => row(id, 'x', { target_id: uuid() }), 'rejected:23514'],
      'a target that is no uuid': [(id) => row(id, 'x', { kind: 'edit', target_id: 'nonsense' }), 'rejected:22P02'],
      'an edit without a target': [(id) => row(id, 'x', { kind: 'edit' }), 'rejected:P0002'],
      'a delete without a target': [(id) => row(id, '', { kind: 'delete' }), 'rejected:P0002'],
      'a list as metadata': [(id) => row(id, 'x', { metadata: [1] }), 'rejected:23514'],
      'too much metadata': [(id) => row(id, 'x', { metadata: { blob: 'x'.repeat(70_000) } }), 'rejected:23514'],
      'an empty message_type': [(id) => row(id, 'x', { message_type: '' }), 'rejected:23514'],
    }
    test('refuses a malformed row alone, and burns no number on it', async () => {
      const id = await world.conversation()
      let seq = 0
      for (const [what, [make, status]] of Object.entries(malformed)) {
        const answers = await send(operator, [row(id), make(id), row(id)])
        assert.deepEqual(statuses(answers), ['stored', status, 'skipped'], what)
        assert.equal(answers[0].seq, ++seq, what)
      }
      assert.equal(await world.lastSeq(id), seq)
    })

    test('refuses a row that is no object or names no conversation', async () => {
      const id = await world.conversation()
      const answers = await send(operator, [null, 5, 'text', ['list'], row(null), { id: uuid(), content: 'x' }, row(id)])
      assert.deepEqual(statuses(answers), [...Array(6).fill('rejected:23502'), 'stored'])
    })

    test('fills in what may be left out', async () => {
      const id = await world.conversation()
      await send(operator, [row(id, '€'.repeat(21845), { metadata: null, message_type: null, kind: null })])
      const [stored] = await world.rows(id)
      assert.deepEqual([stored.metadata, stored.message_type, stored.kind], [{}, 'text', 'message'])
    })

    test('says so when the batch is no list', async () => {
      for (const batch of [{}, 7, null]) await refused(send(operator, batch), '22023', 400)
    })

    test('unwraps a batch that was encoded twice', async () => {
      const id = await world.conversation()
      assert.deepEqual(statuses(await send(operator, JSON.stringify([row(id)]))), ['stored'])
      await refused(send(operator, JSON.stringify({})), '22023', 400)
    })

    test('answers an empty batch with nothing', async () => {
      assert.deepEqual(await send(operator, []), [])
    })

    test('tells a stranger nothing but a status', async () => {
      const id = await world.conversation()
      const [known] = await send(operator, [row(id, 'secret')])
      const answers = await send(stranger, [row(id), row(id), { ...row('test-nowhere'), id: known.id }, row(id, 'x', { id: known.id })])
      assert.deepEqual(statuses(answers), ['forbidden', 'skipped', 'no_conversation', 'skipped'])
      const [guess] = await send(stranger, [row(id, 'x', { id: known.id })])
      assert.deepEqual(guess, {
        id: known.id, conversation_id: id, status: 'forbidden', seq: null, created_at: null, sender_role: null, kind: null, content: null,
      })
      assert.equal(await world.lastSeq(id), 1)
    })

    test('refuses an id that is taken, without showing the row that has it', async () => {
      const [a, b] = [await world.conversation(), await world.conversation()]
      const message = row(a, 'mine')
      await send(operator, [message])
      for (const [user, item] of [[operator, { ...message, conversation_id: b }], [client, message]]) {
        const [answer, next] = await send(user, [item, row(item.conversation_id)])
        assert.deepEqual([answer.status, answer.seq, answer.content, next.status], ['id_conflict', null, null, 'skipped'])
      }
      assert.deepEqual([await world.lastSeq(a), await world.lastSeq(b)], [1, 0])
    })

    test('acknowledges a stored row to somebody who has left since', async () => {
      const id = await world.conversation()
      const message = row(id, 'farewell')
      const [stored] = await send(client, [message])
      await sql`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
      assert.deepEqual(await send(client, [message]), [{ ...stored, status: 'duplicate' }])
      assert.deepEqual(statuses(await send(client, [message, row(id)])), ['duplicate', 'forbidden'])
    })

    test('acts only for the user the client expects', async () => {
      const id = await world.conversation()
      const args = { expected_user: operator.id, batch: [row(id)] }
      const { call } = world.ways[way]
      await refused(call(client, 'chat_send', args), 'PT401', 401)
      await refused(call(client, 'chat_send', { ...args, expected_user: null }), 'PT401', 401)
      assert.equal(await world.lastSeq(id), 0)
    })
  })

  describe(`edits and deletes by ${way}`, () => {
    let id, message
    before(async () => {
      id = await world.conversation()
    })
    const fresh = async (content = 'first') => {
      message = row(id, content, { metadata: { file: 'a.png' } })
      const [answer] = await send(operator, [message])
      return answer
    }
    const stored = async (wanted) => (await world.rows(id)).find((m) => m.id === wanted)
    const edit = (target_id, content) => row(id, content, { kind: 'edit', target_id })
    const remove = (target_id, more = {}) => ({ id: uuid(), conversation_id: id, kind: 'delete', target_id, ...more })

    test('an edit is a row of its own and changes its target', async () => {
      const { seq } = await fresh()
      const change = edit(message.id, 'second')
      const [answer] = await send(operator, [change])
      assert.deepEqual([answer.status, answer.seq, answer.kind, answer.content], ['stored', seq + 1, 'edit', 'second'])
      const target = await stored(message.id)
      assert.deepEqual([target.content, target.edited_at, target.seq], ['second', answer.created_at, seq])
      assert.deepEqual(await send(operator, [change]), [{ ...answer, status: 'duplicate' }])
      assert.equal((await send(operator, [message]))[0].content, 'second')
    })

    test('a delete empties its target and the edits of it', async () => {
      await fresh()
      const change = edit(message.id, 'regretted')
      const [, gone] = await send(operator, [change, remove(message.id, { content: 'ignored' })])
      assert.deepEqual([gone.status, gone.kind, gone.content], ['stored', 'delete', ''])
      const target = await stored(message.id)
      assert.deepEqual([target.content, target.metadata, target.deleted_at, target.kind], ['', {}, gone.created_at, 'message'])
      assert.equal((await stored(change.id)).content, '')
      assert.equal(JSON.stringify(await world.rows(id)).includes('regretted'), false)

      const [again] = await send(operator, [remove(message.id)])
      assert.equal(again.status, 'stored')
      assert.equal((await stored(message.id)).deleted_at, gone.created_at)
      assert.deepEqual(statuses(await send(operator, [edit(message.id, 'third')])), ['rejected:P0001'])
      assert.equal((await stored(message.id)).content, '')
    })

    test('nobody edits or deletes what is not theirs', async () => {
      const { seq } = await fresh()
      const elsewhere = row(await world.conversation())
      const note = edit(message.id, 'second')
      await send(operator, [elsewhere, note])
      const attempts = [
        [client, edit(message.id, 'x')], [client, remove(message.id)],
        [operator, edit(elsewhere.id, 'x')], [operator, remove(elsewhere.id)],
        [operator, edit(uuid(), 'x')], [operator, remove(uuid())],
        [operator, edit(note.id, 'x')], [operator, remove(note.id)],
      ]
      for (const [user, item] of attempts) assert.deepEqual(statuses(await send(user, [item])), ['rejected:P0002'])
      assert.equal((await stored(message.id)).content, 'second')
      assert.equal(await world.lastSeq(id), seq + 1)
    })

    test('nobody takes the id that the delete of another\'s message will have', async () => {
      await fresh()
      const taken = (version) => message.id.replace(/^(.{14})./, `$1${version}`)
      const own = row(id, 'of the client')
      assert.deepEqual(statuses(await send(client, [own])), ['stored'])
      const elsewhere = await world.conversation(client, stranger)
      for (const version of ['8', '9']) {
        const attempts = [
          row(id, 'squat', { id: taken(version) }), row(elsewhere, 'squat', { id: taken(version) }),
          row(id, 'squat', { id: taken(version), kind: 'edit', target_id: own.id }),
          row(id, '', { id: taken(version), kind: 'delete', target_id: own.id }),
          row(id, '', { id: taken(version), kind: 'delete', target_id: taken(version) }),
        ]
        for (const attempt of attempts) assert.deepEqual(statuses(await send(client, [attempt])), ['id_conflict'], JSON.stringify(attempt))
      }
      assert.deepEqual(statuses(await send(operator, [{ ...remove(message.id), id: taken('8') }])), ['stored'])
      assert.equal((await stored(own.id)).deleted_at, null)
    })

    test('an id of any version is good for a message', async () => {
      for (const version of '0123456789abcdef') {
        const message = row(id, 'x', { id: uuid().replace(/^(.{14})./, `$1${version}`) })
        assert.deepEqual(statuses(await send(client, [message])), ['stored'])
        const deletes = message.id.replace(/^(.{14})./, version === '8' ? '$19' : '$18')
        assert.deepEqual(statuses(await send(client, [{ ...remove(message.id), id: deletes }])), ['stored'])
      }
    })

    test('a tombstone keeps a late message away', async () => {
      const late = row(id, 'too late')
      const tombstone = { ...late, kind: 'delete', target_id: late.id, content: '' }
      const [answer] = await send(operator, [tombstone])
      assert.deepEqual([answer.status, answer.kind, answer.content], ['stored', 'delete', ''])
      assert.deepEqual(await send(operator, [tombstone]), [{ ...answer, status: 'duplicate' }])
      assert.deepEqual(await send(operator, [late]), [{ ...answer, status: 'duplicate' }])
      const kept = await stored(late.id)
      assert.deepEqual([kept.content, kept.deleted_at], ['', answer.created_at])

      assert.deepEqual(statuses(await send(operator, [edit(late.id, 'x')])), ['rejected:P0001'])
      assert.deepEqual(statuses(await send(operator, [remove(late.id)])), ['stored'])
    })

    test('a tombstone that comes too late finds the message, and a delete removes it', async () => {
      const { seq } = await fresh('hi')
      const tombstone = { id: message.id, conversation_id: id, kind: 'delete', target_id: message.id }
      const [answer] = await send(operator, [tombstone])
      assert.deepEqual([answer.status, answer.kind, answer.content, answer.seq], ['duplicate', 'message', 'hi', seq])
      assert.equal((await stored(message.id)).deleted_at, null)
      assert.deepEqual(statuses(await send(operator, [remove(message.id)])), ['stored'])
      assert.notEqual((await stored(message.id)).deleted_at, null)
    })
  })
}

describe('chat_send beside triggers of the app', () => {
  const { send } = world.ways.sql
  const withTrigger = async (body, work) => {
    const name = `app_${uuid().replaceAll('-', '')}`
    await sql.unsafe(`
      create function public.${name}() returns trigger language plpgsql security definer as $$ begin ${body} end $$;
      create trigger ${name} after insert on public.chat_messages for each row execute function public.${name}()`).simple()
    try {
      await work()
    } finally {
      await sql.unsafe(`drop function public.${name}() cascade`)
    }
  }

  for (const code of ['P0001', '42501', 'CH001', '23505', '22001']) {
    test(`a refusal with ${code} refuses the row`, async () => {
      const id = await world.conversation()
      await withTrigger(`if new.content = 'bad' then raise sqlstate '${code}'; end if; return null;`, async () => {
        assert.deepEqual(statuses(await send(operator, [row(id), row(id, 'bad'), row(id)])), ['stored', `rejected:${code}`, 'skipped'])
      })
      assert.equal((await send(operator, [row(id)]))[0].seq, 2)
    })
  }

  for (const code of ['40001', '40P01', '42703', '42P01', '53200', '55P03', '57014', 'XX000']) {
    test(`trouble with ${code} fails the request and stores nothing`, async () => {
      const id = await world.conversation()
      await withTrigger(`if new.content = 'bad' then raise sqlstate '${code}'; end if; return null;`, async () => {
        await refused(send(operator, [row(id), row(id, 'bad'), row(id)]), code)
      })
      assert.equal(await world.lastSeq(id), 0)
      assert.deepEqual(await world.rows(id), [])
    })
  }

  test('an automatic answer in the same transaction gets the next number', async () => {
    const id = await world.conversation()
    const answer = `if new.sender_id is not null then perform public.chat_post_system(new.conversation_id, 'auto'); end if; return null;`
    await withTrigger(answer, async () => {
      const answers = await send(operator, [row(id, 'one'), row(id, 'two')])
      assert.deepEqual(answers.map((a) => [a.status, a.seq]), [['stored', 1], ['stored', 3]])
    })
    assert.deepEqual((await world.rows(id)).map((m) => m.content), ['one', 'auto', 'two', 'auto'])
  })
})
