// What a batch is worth: the same work by many small calls and by few large ones, on the local stack's PostgreSQL, as a
// statement of its own and over the Data API. Only the ratios say something of another machine.
import { randomUUID } from 'node:crypto'
import { startStack } from '../dev/stack/index.mjs'
import { main } from './lib/process.mjs'

const SIZES = [1, 10, 50, 250]
const ROWS = 500
const CONVERSATIONS = 500
const ROUNDS = 3
/** Small calls are not made for all rows. */
const MAX_CALLS = 60

const chunks = (list, size) => Array.from({ length: Math.ceil(list.length / size) }, (_, n) => list.slice(n * size, (n + 1) * size))
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

function ways(stack, user) {
  const claims = JSON.stringify({ role: 'authenticated', sub: user.id })
  const sql = (name, args) => stack.sql.begin(async (tx) => {
    await tx`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', ${claims}, true)`
    const list = Object.keys(args).map((key, n) => `${key} => $${n + 1}`)
    return tx.unsafe(`select to_jsonb(r) as r from public.${name}(${list}) r`, Object.values(args))
  })
  const http = async (name, args) => {
    const answer = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
      method: 'POST',
      headers: { apikey: stack.apiKey, authorization: `Bearer ${await stack.tokenFor(user.id)}`, 'content-type': 'application/json' },
      body: JSON.stringify(args),
    })
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  return { sql, http }
}

/** Each kind of work: `parts` are what is to be done, `call` does some of it at once. */
function works(stack, user, conversations) {
  const args = { expected_user: user.id }
  return {
    'send, one conversation': {
      parts: () => Array.from({ length: ROWS }, () => ({ id: randomUUID(), conversation_id: conversations[0], content: 'hello' })),
      call: (way, batch) => way('chat_send', { ...args, batch }),
    },
    'send, many conversations': {
      parts: () => Array.from({ length: ROWS }, (_, n) => ({ id: randomUUID(), conversation_id: conversations[n], content: 'hello' })),
      call: (way, batch) => way('chat_send', { ...args, batch }),
    },
    'sync, nothing new': {
      parts: () => stack.sql`select id, last_seq::int as seq from public.chat_conversations where id = any (${conversations})`,
      call: (way, list) => way('chat_sync', { ...args, cursors: Object.fromEntries(list.map(({ id, seq }) => [id, { seq, incarnation: null }])) }),
    },
    'ack': {
      parts: () => conversations,
      call: (way, ids) => way('chat_ack', { ...args, acks: ids.map((conversation_id) => ({ conversation_id, delivered: 1, read: 1 })) }),
    },
  }
}

await main(async () => {
  const stack = await startStack()
  try {
    const user = stack.users.operator
    const conversations = Array.from({ length: CONVERSATIONS }, (_, n) => `bench-${n}`)
    const members = [user, stack.users.client].map(({ id, role }) => ({ user_id: id, role }))
    for (const id of conversations) await stack.sql`select chat_ensure(${id}, ${stack.sql.json(members)})`
    console.log(`bench:sql: ${ROWS} rows or conversations in calls of ${SIZES.join(', ')}; median of ${ROUNDS}; one call after the other\n`)
    console.log(`${''.padEnd(34)}${SIZES.map((size) => `by ${size}`.padStart(20)).join('')}`)
    for (const [way, call] of Object.entries(ways(stack, user))) {
      for (const [name, work] of Object.entries(works(stack, user, conversations))) {
        let single
        const cells = []
        for (const size of SIZES) {
          const times = []
          for (let round = 0; round < ROUNDS; round++) {
            const calls = chunks(await work.parts(), size).slice(0, MAX_CALLS)
            const began = performance.now()
            for (const part of calls) await work.call(call, part)
            times.push((performance.now() - began) / calls.flat().length)
          }
          const each = median(times)
          single ??= each
          cells.push(`${each.toFixed(2)} ms, ${(single / each).toFixed(1)}x`.padStart(20))
        }
        console.log(`${`${way}: ${name}`.padEnd(34)}${cells.join('')}`)
      }
    }
    console.log('\nTime for each row or conversation, and how many times faster than one at a time.')
  } finally {
    await stack.stop()
  }
})
