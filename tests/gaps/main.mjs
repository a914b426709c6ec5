// Writers whose transactions overlap, readers that come and go, and a count of what each way of reading has missed.
import { setTimeout as sleep } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import { startStack } from '../../dev/stack/index.mjs'
import { seeded } from '../../dev/stack/random.mjs'
import { compare, sum } from './count.mjs'
import { ListReader } from './lists.mjs'
import { withPages } from './pages.mjs'
import { Reader } from './readers.mjs'
import { PLAIN_TABLE, write } from './writers.mjs'

const WRITERS = 8
const CONVERSATIONS = 4
const LIST_READERS = 2
const PATIENCE = 4

const FAULTS = [['drop_live', 0.05], ['double_live', 0.05], ['reorder_live', 0.05], ['truncate_live', 0.02]]

const COLUMNS = ['missed', 'worst', 'doubled', 'disordered', 'unknown']
const line = (name, cells) => `  ${name.padEnd(34)}${cells.map((cell) => String(cell).padStart(12)).join('')}`

function shown(name, list) {
  const total = sum(list)
  return line(`${name} (${list.length})`, [total.missed, Math.max(0, ...list.map(({ missed }) => missed)), total.doubled, total.disordered, total.unknown])
}

/** Ids by conversation in the order of the database, of what chat_send stored and of the plain table. */
async function database(sql, conversations) {
  const byConversation = async (rows) => {
    const found = new Map(conversations.map((id) => [id, []]))
    for (const { conversation_id, id } of await rows) found.get(conversation_id).push(id)
    return found
  }
  return {
    ours: await byConversation(sql`select conversation_id, id from public.chat_messages order by conversation_id, seq`),
    time: await byConversation(sql`select conversation_id, id from public.plain_messages order by conversation_id, created_at, id`),
    number: await byConversation(sql`select conversation_id, id from public.plain_messages order by conversation_id, number`),
  }
}

async function anyOf(list, check) {
  for (const each of list) if (await check(each)) return true
  return false
}

const judge = (stored, followers) =>
  sum([...followers].map(([id, { seen, first = 0 }]) => compare(stored.get(id), seen, first)))

/** `{seed, seconds, readers, pages, executable}`; resolves with whether all is as it must be, and that in a line. */
export async function gaps({ seed, seconds, readers: readerCount, pages: pageCount, executable }) {
  const stack = await startStack()
  const pools = []
  const pool = (max) => {
    const sql = stack.connect({ max })
    pools.push(sql)
    return sql
  }
  try {
    const random = seeded(seed)
    const own = () => seeded(Math.floor(random() * 2 ** 32))
    const { sql, users } = stack
    await sql.unsafe(PLAIN_TABLE).simple()
    const conversations = Array.from({ length: CONVERSATIONS }, (_, n) => `gaps-${n + 1}-${randomUUID().slice(0, 8)}`)
    const joinAll = async (list) => {
      const members = list.map(({ id, role }) => ({ user_id: id, role }))
      for (const id of conversations) await sql`select public.chat_ensure(${id}, ${sql.json(members)})`
    }
    await joinAll([users.operator, users.client])
    for (const [kind, probability] of FAULTS) stack.faults.add({ kind, probability, seed: Math.floor(random() * 2 ** 32) })

    return await withPages({ stack, executable, count: pageCount, conversations, random: own(), join: joinAll }, async (pages) => {
      let over = false
      const isOver = () => over
      const [ours, plain, naive] = [pool(WRITERS), pool(WRITERS), pool(readerCount)]
      const tally = { transactions: 0, rolledBack: 0 }
      const writers = Array.from({ length: WRITERS }, (_, n) => write({
        name: `writer ${n + 1}`, ours, plain, user: n % 2 ? users.operator : users.client, conversations, random: own(), isOver, tally,
      }))
      const reader = () => new Reader({ stack, sql: naive, user: users.client, conversations, random: own() })
      // A third of the readers is there later.
      const readers = Array.from({ length: readerCount }, reader)
      const lists = Array.from({ length: LIST_READERS }, () => new ListReader({ stack, user: users.operator, conversations, random: own() }))
      const work = [
        ...writers,
        ...readers.map(async (each, n) => {
          if (n % 3 === 2) await sleep((seconds * 1000) / 3)
          await each.live(isOver)
        }),
        ...lists.map((each) => each.live(isOver)),
        ...pages.map((page) => page.live(isOver)),
      ]
      const written = async () => {
        await sleep(seconds * 1000)
        // On a machine that is too busy for transactions to overlap, the usual cursors need longer to miss a row.
        const end = Date.now() + PATIENCE * seconds * 1000
        while (!(await anyOf(readers, (each) => each.showsSomething())) && Date.now() < end) await sleep(500)
      }
      const began = performance.now()
      try {
        await Promise.race([written(), Promise.all(work)])
      } finally {
        over = true
      }
      await Promise.all(work)
      seconds = Math.round((performance.now() - began) / 1000)

      stack.faults.clear()
      stack.faults.add({ kind: 'cut_sockets' })
      for (const each of [...readers, ...lists]) await each.finish()
      const stored = await database(sql, conversations)
      const rows = [...stored.ours.values()].reduce((count, list) => count + list.length, 0)
      await Promise.all(pages.map((page) => page.settle(stored.ours)))

      const results = {
        ours: readers.map((each) => judge(stored.ours, each.ours)),
        lists: lists.map((each) => judge(stored.ours, each.listed)),
        pages: [],
        time: readers.map((each) => judge(stored.time, each.time)),
        number: readers.map((each) => judge(stored.number, each.number)),
      }
      for (const page of pages) results.pages.push(await page.verdict(stored.ours))
      return report({ seed, seconds, rows, tally, readers, lists, pages, results })
    })
  } finally {
    for (const each of pools) await each.end({ timeout: 5 })
    await stack.stop()
  }
}

function report({ seed, seconds, rows, tally, readers, lists, pages, results }) {
  const total = (list, name) => list.reduce((count, each) => count + each[name], 0)
  console.log(`gaps: ${WRITERS} writers, ${CONVERSATIONS} conversations, ${seconds} s, seed ${seed}`)
  console.log(`  ${rows} rows in ${tally.transactions} transactions, ${tally.rolledBack} of them rolled back`)
  console.log(`  ${readers.length} readers by chat_sync and the live channel: ${total(readers, 'connects')} connects, ${total(readers, 'syncs')} requests`)
  console.log(`  ${lists.length} readers by chat_list alone: ${total(lists, 'requests')} requests`)
  if (pages.length > 0) {
    const settled = Math.max(...pages.map(({ settledMs }) => settledMs))
    console.log(`  ${pages.length} browsers with the package: ${total(pages, 'cuts')} times cut off, ${total(pages, 'loads')} loads, complete ${(settled / 1000).toFixed(1)} s after the last commit`)
  }
  console.log(`\n${line('way of reading (readers)', COLUMNS)}`)
  console.log(shown('chat_sync and live events', results.ours))
  console.log(shown('chat_list', results.lists))
  if (pages.length > 0) console.log(shown('the package in a browser', results.pages))
  console.log(shown('cursor (created_at, id)', results.time))
  console.log(shown('cursor bigserial', results.number))

  const ours = sum([...results.ours, ...results.lists, ...results.pages])
  const problems = Object.entries(ours).filter(([, count]) => count > 0).map(([name, count]) => `${count} ${name}`)
  const [time, number] = [sum(results.time).missed, sum(results.number).missed]
  if (rows === 0) problems.push('nothing was written')
  if (time === 0 || number === 0) problems.push('a usual cursor missed nothing, so this run could show nothing')
  const summary = `gaps: ${rows} rows: ${ours.missed} missed, ${ours.doubled} doubled, ${ours.disordered} out of order; (created_at, id) missed ${time}, bigserial ${number} (seed ${seed})`
  return { passed: problems.length === 0, summary, problems }
}
