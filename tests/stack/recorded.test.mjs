import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { after, before, describe, test } from 'node:test'
import { startStack } from '../../dev/stack/index.mjs'
import { signJwt } from '../../dev/stack/keys.mjs'
import { recording, replay } from './recording.mjs'

const BOOKING = 'b0000000-0000-4000-8000-000000000001'
const now = () => Math.floor(Date.now() / 1000)

let stack, guest, host, stranger

before(async () => {
  stack = await startStack({ sqlFiles: [fileURLToPath(new URL('recorded.sql', import.meta.url))], realtime: { idleMs: 4000 } })
  ;[guest, host, stranger] = [stack.users.client.id, stack.users.operator.id, stack.users.stranger.id]
  await stack.sql`insert into booking_members values (${BOOKING}, ${guest}), (${BOOKING}, ${host})`
  // In the recordings bookings are not published.
  await stack.sql`alter publication supabase_realtime drop table public.bookings`
})
after(() => stack.stop())

const insert = (body = 'hello') => stack.sql`insert into messages (booking_id, sender_id, body) values (${BOOKING}, ${host}, ${body})`
const asGuest = () => stack.tokenFor(guest)

function damaged(token) {
  const [header, claims, signature] = token.split('.')
  return `${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
}

function unsigned(claims) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`
}

describe('our server sends the frames of the real one', () => {
  for (const version of ['v1', 'v2']) {
    test(`postgres changes, ${version}`, async () => {
      const frames = await replay(await recording(`postgres-changes-${version}`), {
        stack,
        token: asGuest,
        actions: [
          ['psql INSERT b1', () => insert()],
          ['psql UPDATE', () => stack.sql`update messages set body = 'edited', read_at = clock_timestamp()`],
          ['psql DELETE', () => stack.sql`delete from messages`],
        ],
      })
      assert.equal(frames, 5)
    })

    test(`broadcast, ${version}`, async () => {
      assert.ok(await replay(await recording(`broadcast-${version}`), { stack, token: asGuest }) >= 8)
    })

    test(`presence, ${version}`, async () => {
      assert.ok(await replay(await recording(`presence-${version}`), { stack, token: asGuest }) >= 15)
    })

    test(`private channel, ${version}`, async () => {
      const users = { 'guest (member) joins': guest, 'host (member) joins': host, 'stranger joins': stranger }
      const frames = await replay(await recording(`private-channel-${version}`), {
        stack,
        token: (note) => stack.tokenFor(users[note]),
        actions: [
          ['psql insert into messages -> trigger realtime.broadcast_changes', () => insert('from db')],
          ['psql realtime.send private', () => stack.sql`select realtime.send('{"hi": 1}', 'ev', ${`booking:${BOOKING}`}, true)`],
          ['psql delete', () => stack.sql`delete from messages`],
        ],
      })
      assert.ok(frames >= 18)
    })
  }

  test('tokens and errors', async () => {
    const claims = { sub: guest, role: 'authenticated' }
    const keys = {
      'CONNECT bad signature': () => damaged(stack.apiKey),
      'CONNECT expired': () => signJwt({ role: 'anon', exp: now() - 60 }),
      'CONNECT malformed': () => 'abc',
      'CONNECT no role': () => signJwt({ exp: now() + 60 }),
      'CONNECT no exp': () => signJwt({ role: 'anon' }),
      'APIKEY expires while open, channel uses apikey only': () => signJwt({ role: 'anon', exp: now() + 2 }),
    }
    const tokens = {
      'JOIN expired access_token': () => signJwt({ ...claims, exp: now() - 60 }),
      'JOIN bad signature': async () => damaged(await asGuest()),
      'JOIN no exp': () => signJwt(claims),
      'JOIN alg none': () => unsigned({ ...claims, exp: now() + 60 }),
      'JOIN role that does not exist': () => signJwt({ ...claims, role: 'nobody_role', exp: now() + 60 }),
      'EXPIRY DURING SESSION public+pg': () => stack.tokenFor(guest, { expiresIn: 2 }),
      'EXPIRY DURING SESSION private': () => stack.tokenFor(guest, { expiresIn: 2 }),
      'access_token push': () => stack.tokenFor(guest, { expiresIn: 1800 }),
      'push expired token': () => stack.tokenFor(guest, { expiresIn: -5 }),
      'push bad signature': async () => damaged(await asGuest()),
      'private: push token of a stranger': () => stack.tokenFor(stranger),
    }
    const pushes = new Set(['access_token push', 'push expired token', 'push bad signature', 'private: push token of a stranger'])
    const joined = new Set()
    const frames = await replay(await recording('tokens-and-errors'), {
      stack,
      key: (note, conn) => (conn === 10 ? stack.apiKey : (keys[note]?.() ?? stack.apiKey)),
      // A socket that joins after the note of the one before it uses a good token.
      token: (note, conn) => {
        const first = !joined.has(conn)
        joined.add(conn)
        return pushes.has(note) && first ? asGuest() : (tokens[note] ?? asGuest)()
      },
      // The host's name chooses the project on the real server; ours has one.
      skip: [7, 8],
    })
    assert.ok(frames >= 35)
  })

  test('odd cases', async () => {
    const users = { 4: guest, 5: stranger, 6: stranger, 9: stranger }
    const frames = await replay(await recording('odd-cases'), {
      stack,
      token: (note, conn) => (conn === 8 ? stack.serviceKey : stack.tokenFor(users[conn] ?? guest)),
      actions: [
        [55_000, () => insert('secret')],
        [57_000, () => stack.sql`update messages set body = 'secret2'`],
        [58_000, () => stack.sql`delete from messages`],
        [60_000, () => stack.sql`insert into notes (body) values ('n1'), ('n2'), ('n3')`],
        [62_000, () => stack.sql`insert into notes (body, big) values ('big', repeat('x', 2000000))`],
        [64_000, () => stack.sql.begin((tx) => [tx`update notes set body = 'u' where id = 1`, tx`delete from notes where id = 2`])],
        [67_740, () => broadcast('e1', { x: 1 })],
        [67_760, () => broadcast('e2', { y: 1 })],
      ],
      // Given up by the client before it was open.
      skip: [11],
    })
    assert.ok(frames >= 75)
  })

  test('a silent client is closed with 1000', async () => {
    assert.equal(await replay(await recording('idle-timeout'), { stack, token: asGuest }), 2)
  })
})

function broadcast(event, payload) {
  return fetch(`${stack.url}/realtime/v1/api/broadcast`, {
    method: 'POST',
    headers: { apikey: stack.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ topic: 'httpb', event, payload }] }),
  })
}
