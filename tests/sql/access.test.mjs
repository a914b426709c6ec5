import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { refused, row, startWorld, uuid } from './support.mjs'

const world = await startWorld()
const { sql, users, fetchAs, inRole } = world
const { operator, client, stranger } = users
after(() => world.stop())

const TABLES = ['chat_conversations', 'chat_members', 'chat_messages']
const CALLERS = {
  chat_my_conversations: ['authenticated'],
  chat_may_join: ['authenticated'],
  chat_send: ['authenticated'],
  chat_sync: ['authenticated'],
  chat_list: ['authenticated'],
  chat_ack: ['authenticated'],
  chat_ensure: ['service_role'],
  chat_post_system: ['service_role'],
  chat_append: [],
  chat_broadcast_members: [],
  chat_broadcast_message: [],
  chat_broadcast_receipt: [],
  chat_follow: [],
  chat_require_user: [],
  chat_store: [],
  chat_unwrap: [],
}
const ARGUMENTS = {
  chat_may_join: () => ({ topic: 'chat:test-access' }),
  chat_send: (user) => ({ expected_user: user.id, batch: [] }),
  chat_sync: (user) => ({ expected_user: user.id, cursors: {} }),
  chat_list: (user) => ({ expected_user: user.id }),
  chat_ack: (user) => ({ expected_user: user.id, acks: [] }),
  chat_ensure: () => ({ conversation_id: 'test-access', members: [] }),
  chat_post_system: () => ({ conversation_id: 'test-access', content: 'x' }),
  chat_append: () => ({ sender: null, conversation: 'test-access', as_role: 'system', item: {} }),
  chat_store: () => ({ sender: null, conversation: 'test-access', as_role: 'system', item: {} }),
  chat_require_user: (user) => ({ expected_user: user.id }),
  chat_unwrap: () => ({ argument: {} }),
}

const conversation = await world.conversation()
await world.ways.sql.send(operator, [row(conversation, 'secret')])

describe('functions', () => {
  test('each is executable by exactly the roles it is meant for', async () => {
    const found = await sql`
      select p.proname, coalesce(array_agg(r.rolname::text) filter (where has_function_privilege(r.rolname, p.oid, 'execute')), '{}') as callers
      from pg_proc p, pg_roles r
      where p.pronamespace = 'public'::regnamespace and p.proname like 'chat\\_%' and r.rolname in ('anon', 'authenticated', 'service_role')
      group by p.oid, p.proname`
    assert.deepEqual(Object.fromEntries(found.map((f) => [f.proname, f.callers])), CALLERS)
  })

  test('no function trusts the search path of its caller', async () => {
    const found = await sql`
      select proname from pg_proc where pronamespace = 'public'::regnamespace and proname like 'chat\\_%'
      and not coalesce(proconfig, '{}') @> array['search_path=""']`
    assert.deepEqual([...found], [])
  })

  for (const [name, callers] of Object.entries(CALLERS)) {
    if (/follow|broadcast/.test(name)) continue // triggers cannot be called by anybody
    const args = ARGUMENTS[name] ?? (() => ({}))
    for (const [way, { call }] of Object.entries(world.ways)) {
      test(`${name} by ${way}`, async () => {
        await refused(call('anon', name, args(operator)), '42501', 401)
        for (const user of [stranger, operator]) {
          if (callers.includes('authenticated')) await call(user, name, args(user))
          else await refused(call(user, name, args(user)), '42501', 403)
        }
        if (callers.includes('service_role')) await call('service_role', name, args(operator))
        else await refused(call('service_role', name, args(operator)), '42501', 403)
      })
    }
  }

  test('somebody without a user id is nobody', async () => {
    const nobody = { role: 'authenticated' }
    for (const name of ['chat_send', 'chat_sync', 'chat_list', 'chat_ack']) {
      await refused(world.ways.sql.call(nobody, name, ARGUMENTS[name](operator)), 'PT401')
    }
    assert.deepEqual(await world.ways.sql.call(nobody, 'chat_my_conversations', {}), [])
  })

  test('chat_my_conversations names the own ones only', async () => {
    assert.ok((await world.ways.http.call(client, 'chat_my_conversations', {})).includes(conversation))
    assert.deepEqual(await world.ways.http.call(stranger, 'chat_my_conversations', {}), [])
  })
})

describe('tables', () => {
  const key = { chat_conversations: 'id', chat_members: 'conversation_id', chat_messages: 'conversation_id' }
  const forged = {
    chat_conversations: () => ({ id: `test-${uuid()}` }),
    chat_members: (user) => ({ conversation_id: conversation, user_id: user.id, role: 'operator' }),
    chat_messages: (user) => ({ id: uuid(), conversation_id: conversation, seq: 99, sender_id: user.id, sender_role: 'operator', content: 'x' }),
  }
  const change = { chat_conversations: { last_seq: 0 }, chat_members: { read_seq: 0 }, chat_messages: { content: 'x' } }

  for (const table of TABLES) {
    const path = `${table}?${key[table]}=eq.${conversation}`

    test(`${table}: members read, strangers see nothing, anon is refused`, async () => {
      assert.ok((await fetchAs(operator, path)).length > 0)
      assert.ok((await fetchAs(client, path)).length > 0)
      assert.deepEqual(await fetchAs(stranger, table), [])
      await refused(fetchAs('anon', table), '42501', 401)
      assert.ok((await fetchAs('service_role', path)).length > 0)
    })

    test(`${table}: row level security is on`, async () => {
      const [{ relrowsecurity }] = await sql`select relrowsecurity from pg_class where oid = ${table}::regclass`
      assert.equal(relrowsecurity, true)
    })

    test(`${table}: nobody writes but through the functions`, async () => {
      for (const [user, status] of [['anon', 401], [stranger, 403], [operator, 403], ['service_role', 403]]) {
        const body = forged[table](user === 'anon' || user === 'service_role' ? operator : user)
        await refused(fetchAs(user, table, { method: 'POST', body }), '42501', status)
        await refused(fetchAs(user, path, { method: 'PATCH', body: change[table] }), '42501', status)
        if (user !== 'service_role') await refused(fetchAs(user, path, { method: 'DELETE' }), '42501', status)
      }
      for (const user of ['anon', operator]) {
        await refused(inRole(user, (tx) => tx.unsafe(`truncate ${table} cascade`)), '42501')
        await refused(inRole(user, (tx) => tx.unsafe(`insert into ${table} default values`)), '42501')
      }
    })
  }

  test('a member who left sees nothing any more', async () => {
    const id = await world.conversation()
    await world.ways.sql.send(operator, [row(id)])
    await sql`delete from chat_members where conversation_id = ${id} and user_id = ${client.id}`
    for (const table of TABLES) assert.deepEqual(await fetchAs(client, `${table}?${key[table]}=eq.${id}`), [])
  })

  test('the service role may clean up, and a conversation takes everything along', async () => {
    const id = await world.conversation()
    await world.ways.sql.send(operator, [row(id), row(id)])
    await fetchAs('service_role', `chat_messages?conversation_id=eq.${id}&seq=eq.1`, { method: 'DELETE' })
    assert.deepEqual((await world.rows(id)).map((m) => m.seq), [2])
    assert.equal((await world.ways.sql.send(operator, [row(id)]))[0].seq, 3)
    await fetchAs('service_role', `chat_conversations?id=eq.${id}`, { method: 'DELETE' })
    assert.deepEqual([await world.rows(id), await world.members(id)], [[], []])
  })
})

describe('the server side of the app', () => {
  for (const [way, { call }] of Object.entries(world.ways)) {
    test(`chat_ensure by ${way} makes, adds, renames and never removes`, async () => {
      const id = `test-${uuid()}`
      const ensure = (members) => call('service_role', 'chat_ensure', { conversation_id: id, members })
      const roles = async () => (await world.members(id)).map((k) => [k.user_id, k.role])

      await ensure([{ user_id: operator.id, role: 'operator' }, { user_id: client.id }])
      assert.deepEqual(await roles(), [[client.id, 'member'], [operator.id, 'operator']])
      await ensure([{ user_id: client.id, role: 'client' }])
      assert.deepEqual(await roles(), [[client.id, 'client'], [operator.id, 'operator']])
      await ensure([{ user_id: stranger.id, role: 'one' }, { user_id: stranger.id, role: 'two' }])
      assert.deepEqual((await roles())[1], [stranger.id, 'one'])
      await ensure([])
      assert.equal((await roles()).length, 3)

      await refused(ensure({ user_id: client.id }), '22023', 400)
      await refused(ensure([{ user_id: 'nonsense' }]), '22P02', 400)
      await refused(ensure([{ role: 'client' }]), '23502', 400)
      const badId = (conversation_id) => call('service_role', 'chat_ensure', { conversation_id, members: [] })
      await refused(badId(''), '23514', 400)
      await refused(badId('x'.repeat(201)), '23514', 400)
    })

    test(`chat_ensure by ${way} keeps watermarks`, async () => {
      const id = await world.conversation()
      await world.ways.sql.send(operator, [row(id), row(id)])
      await world.ways.sql.ack(client, [{ conversation_id: id, delivered: 1 }])
      await call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: client.id, role: 'guest' }] })
      const [k] = (await world.members(id)).filter((member) => member.user_id === client.id)
      assert.deepEqual([k.role, k.delivered_seq, k.read_seq], ['guest', 1, 0])
    })

    test(`chat_post_system by ${way}`, async () => {
      const conversation_id = await world.conversation()
      const post = (more) => call('service_role', 'chat_post_system', { conversation_id, content: 'moved to 10:00', ...more })
      const [answer] = await post()
      const { id, created_at, ...rest } = answer
      assert.deepEqual(rest, {
        conversation_id, status: 'stored', seq: 1, sender_role: 'system', kind: 'message', content: 'moved to 10:00',
      })
      const [stored] = await world.rows(conversation_id)
      assert.deepEqual([stored.id, stored.sender_id, stored.message_type, stored.metadata], [id, null, 'system', {}])

      const own = { id: uuid(), metadata: { at: '10:00' }, message_type: 'notice' }
      const [first] = await post(own)
      assert.deepEqual(await post(own), [{ ...first, status: 'duplicate' }])
      const [, second] = await world.rows(conversation_id)
      assert.deepEqual([second.message_type, second.metadata, second.seq], ['notice', { at: '10:00' }, 2])

      const [users] = await world.ways.sql.send(operator, [row(conversation_id)])
      assert.equal((await post({ id: users.id }))[0].status, 'id_conflict')
      assert.equal((await post({ content: null }))[0].status, 'rejected:23502')
      assert.equal((await post({ conversation_id: 'test-nowhere' }))[0].status, 'no_conversation')
      assert.equal(await world.lastSeq(conversation_id), 3)
    })

    test(`nobody but the service role speaks as the system, by ${way}`, async () => {
      const id = await world.conversation()
      const [answer] = await world.ways[way].send(client, [row(id, 'x', { sender_id: null, sender_role: 'system', seq: 77 })])
      assert.deepEqual([answer.sender_role, answer.seq], ['client', 1])
      assert.equal((await world.rows(id))[0].sender_id, client.id)

      const [post] = await call('service_role', 'chat_post_system', { conversation_id: id, content: 'official' })
      const edit = row(id, 'forged', { kind: 'edit', target_id: post.id })
      assert.equal((await world.ways[way].send(client, [edit]))[0].status, 'rejected:P0002')
    })
  }
})
