// What a batch is worth: the same work by many small calls and by few large ones, on the local stack's PostgreSQL, as a
// statement of its own and over the Data API. Only the ratios say something of another machine. And what the list of all
// conversations takes, at first and when nothing is new.
import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { main } from './lib/process.mjs'
import { ensureNpmPackages } from './setup.mjs'

const SIZES = [1, 10, 50, 250]
const ROWS = 500
const CONVERSATIONS = 500
const LISTS = [500, 5000]
/** Messages in each conversation of a list, and how many of them are unread. */
const [LISTED_ROWS, LISTED_UNREAD] = [20, 3]
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

/** So many conversations, the messages as long as people write them. */
async function fill(stack, count) {
  const { operator, client } = stack.users
  await stack.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`truncate public.chat_conversations cascade`
    await tx`insert into public.chat_conversations (id, last_seq) select gen_random_uuid()::text, ${LISTED_ROWS} from generate_series(1, ${count})`
    await tx`
      insert into public.chat_members (conversation_id, user_id, role, delivered_seq, read_seq)
      select c.id, u.id, u.role, c.last_seq, c.last_seq - ${LISTED_UNREAD}
      from public.chat_conversations c, (values (${client.id}::uuid, 'client'), (${operator.id}::uuid, 'operator')) u (id, role)`
    await tx`
      insert into public.chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
      select gen_random_uuid(), c.id, s, ${client.id}::uuid, 'client', 'Great, thank you! See you then at the harbour, at eight, with the children.'
      from public.chat_conversations c, generate_series(1, c.last_seq) s`
  })
  await stack.sql`analyze public.chat_conversations, public.chat_members, public.chat_messages`
}

async function lists(stack, { sql, http }) {
  const args = { expected_user: stack.users.operator.id }
  const timed = async (call, more) => {
    const times = []
    let answer
    for (let round = 0; round < ROUNDS; round++) {
      const began = performance.now()
      answer = await call('chat_list', { ...args, ...more })
      times.push(performance.now() - began)
    }
    return { ms: median(times).toFixed(0), answer }
  }
  for (const count of LISTS) {
    await fill(stack, count)
    const first = await timed(http, {})
    const again = await timed(sql, { since: first.answer.since, held: count })
    const text = JSON.stringify(first.answer)
    console.log(
      `list of ${count} conversations: all of them ${(await timed(sql, {})).ms} ms by sql, ${first.ms} ms by http, ` +
        `${(text.length / 1000).toFixed(0)} kB, ${(gzipSync(text).length / 1000).toFixed(0)} kB gzip; nothing new ${again.ms} ms`,
    )
  }
}

await main(async () => {
  await ensureNpmPackages()
  const { startStack } = await import('../dev/stack/index.mjs')
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
    console.log('\nTime for each row or conversation, and how many times faster than one at a time.\n')
    await lists(stack, ways(stack, user))
  } finally {
    await stack.stop()
  }
})
