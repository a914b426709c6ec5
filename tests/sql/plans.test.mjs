// How the functions find their rows when there are many: by an index, and no more of them than they answer.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { row, startWorld, uuid } from './support.mjs'

const CONVERSATIONS = 500
const LAST = 100

const world = await startWorld()
const { sql, users, stack } = world
const { client } = users
after(() => world.stop())

const ids = Array.from({ length: CONVERSATIONS }, (_, n) => `plan-${String(n).padStart(4, '0')}`)

/** As many conversations of others, with as many messages. */
async function fill(tx) {
  await tx`set local session_replication_role = replica`
  await tx`
    insert into chat_conversations (id, last_seq)
    select prefix || lpad(n::text, 4, '0'), ${LAST}
    from (values ('plan-'), ('others-')) p (prefix), generate_series(0, ${CONVERSATIONS - 1}) n`
  await tx`
    insert into chat_members (conversation_id, user_id, role, delivered_seq, read_seq)
    select c.id, u.id, u.role, c.last_seq, c.last_seq
    from chat_conversations c, (values (${client.id}::uuid, 'client', 'plan-'), (${users.operator.id}::uuid, 'operator', 'plan-'),
      (${users.stranger.id}::uuid, 'client', 'others-')) u (id, role, prefix)
    where c.id like u.prefix || '%'`
  await tx`
    insert into chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
    select gen_random_uuid(), c.id, s, ${users.operator.id}::uuid, 'operator', 'message ' || s
    from chat_conversations c, generate_series(1, c.last_seq) s where c.id ~ '^(plan|others)-'`
}

/** Everything below this node, and itself. */
const nodes = (plan) => [plan, ...(plan.Plans ?? []).flatMap(nodes)]

const plansOf = (name, args) => plansOfWork((tx) => world.callIn(tx, name, { expected_user: client.id, ...args }))

/** The nodes of all plans that this has run as the client, in whatever function. */
async function plansOfWork(work) {
  const said = []
  const connection = stack.connect({ max: 1, onnotice: ({ message }) => said.push(message) })
  try {
    await connection`load 'auto_explain'`
    await connection`select set_config(name, value, false) from (values
      ('auto_explain.log_level', 'notice'), ('auto_explain.log_min_duration', '0'), ('auto_explain.log_nested_statements', 'on'),
      ('auto_explain.log_analyze', 'on'), ('auto_explain.log_timing', 'off'), ('auto_explain.log_format', 'json')) s (name, value)`
    await connection.begin(async (tx) => {
      await world.actAs(tx, client)
      said.length = 0
      await work(tx)
    })
  } finally {
    await connection.end()
  }
  const plans = said.filter((text) => text.includes('plan:')).map((text) => JSON.parse(text.slice(text.indexOf('{'))))
  return plans.flatMap((each) => nodes(each.Plan))
}

/** What chat_list answers as `since`: of now, or of before 20 conversations got a message. */
async function sinceOf(when) {
  const { since } = (await world.ways.sql.call(client, 'chat_list', { expected_user: client.id }))[0]
  if (when !== 'now') await world.ways.sql.send(users.operator, ids.slice(100, 120).map((id) => row(id)))
  return since
}

const cursors = (list, seq) => Object.fromEntries(list.map((id) => [id, { seq, incarnation: null }]))

const CALLS = {
  'chat_sync, 500 conversations, none behind': ['chat_sync', { cursors: cursors(ids, LAST) }, 0],
  'chat_sync, 500 conversations, 20 behind': ['chat_sync', { cursors: { ...cursors(ids, LAST), ...cursors(ids.slice(0, 20), LAST - 5) } }, 200],
  'chat_sync, 500 conversations, all from the start': ['chat_sync', { cursors: cursors(ids, 0) }, 500],
  'chat_sync, 500 conversations, without a cursor': ['chat_sync', { cursors: cursors(ids, null) }, 500],
  'chat_list, all 500': ['chat_list', {}, 2000],
  'chat_list, what changed, which is nothing': ['chat_list', { since: 'now', held: CONVERSATIONS }, 0],
  'chat_list, what changed, which is 20': ['chat_list', { since: 'before 20 messages', held: CONVERSATIONS }, 200],
  'chat_send, 50 rows of 50 conversations': ['chat_send', { batch: ids.slice(0, 50).map((id) => row(id)) }, 0],
  'chat_send, an edit and a delete': ['chat_send', { batch: ['edit', 'delete'].map((kind) => row(ids[0], 'x', { kind, target_id: uuid() })) }, 0],
  'chat_ack, 500 conversations': ['chat_ack', { acks: ids.map((conversation_id) => ({ conversation_id, delivered: 1, read: 1 })) }, 0],
}

/** What somebody may read without a function, under the policies. */
const READS = {
  'a page of one conversation': [(tx) => tx`select * from chat_messages where conversation_id = ${ids[0]} order by seq desc limit 50`, 2 * LAST],
  'one message': [(tx) => tx`select * from chat_messages where id = ${uuid()}`, 0],
  'messages embedded in their conversation': [(tx) => tx`
    select c.id, m.content from chat_conversations c left join chat_messages m on m.conversation_id = c.id where c.id = ${ids[1]}`, 2 * LAST],
}

describe(`with ${2 * CONVERSATIONS * LAST} messages in ${2 * CONVERSATIONS} conversations`, () => {
  before(async () => {
    await sql.begin(fill)
    await sql`analyze chat_conversations, chat_members, chat_messages`
  })

  for (const [what, [name, args, most]] of Object.entries(CALLS)) {
    test(what, async () => {
      if (args.since) args.since = await sinceOf(args.since)
      const found = (await plansOf(name, args)).filter((node) => node['Relation Name'] === 'chat_messages')
      const read = found.filter((node) => node['Node Type'] !== 'ModifyTable')
      assert.deepEqual(read.filter((node) => node['Node Type'] === 'Seq Scan'), [])
      const rows = read.reduce((sum, node) => sum + node['Actual Rows'] * node['Actual Loops'], 0)
      console.log(`${what}: ${[...new Set(read.map((node) => `${node['Node Type']} ${node['Index Name']}`))].join(', ') || 'reads no message'}; ${rows} rows`)
      assert.ok(rows <= most, `${rows} rows of chat_messages were read for at most ${most}`)
    })
  }

  for (const [what, [read, most]] of Object.entries(READS)) {
    test(`select: ${what}`, async () => {
      const found = (await plansOfWork(read)).filter((node) => node['Relation Name'] === 'chat_messages')
      assert.ok(found.length > 0)
      assert.deepEqual(found.filter((node) => node['Node Type'] === 'Seq Scan'), [])
      const rows = found.map((node) => node['Actual Rows'] * node['Actual Loops'])
      assert.ok(rows.every((count) => count <= most), `${rows} rows for at most ${most}`)
    })
  }

  test('a table that is read as a whole would be noticed', async () => {
    await sql`create function public.chat_whole(expected_user uuid) returns bigint language sql as $$
      select count(*) from public.chat_messages where content = 'message 7' $$`
    await sql`grant execute on function public.chat_whole(uuid) to authenticated`
    const found = await plansOf('chat_whole', {})
    await sql`drop function public.chat_whole(uuid)`
    assert.ok(found.some((node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] === 'chat_messages'))
  })
})
