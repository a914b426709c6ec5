import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const world = useWorld()

/** A conversation in which the client wrote so many messages before, told to nobody live: 1, 2, 3... */
async function withHistory(count) {
  const id = await addBooking(world)
  const { sql, users } = world
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`
      insert into public.chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
      select gen_random_uuid(), ${id}, n, ${users.client.id}, 'client', n from generate_series(1, ${count}) n`
  })
  await sql`update public.chat_conversations set last_seq = ${count} where id = ${id}`
  return id
}

const span = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => String(from + n))

const open = (context, conversation, before, options) =>
  openChat(world, context, { user: world.users.operator, conversation, before, options })

/** Resolves with whether there is more, or with the code of the error. */
const loadOlder = (chat) => chat.page.evaluate(() => window.conversation.loadOlder().catch(({ code }) => code))

const storesOnly = () => world.faults.add({ kind: 'offline', user: world.users.operator.id })

test('a conversation is read back to its first message, and all of that again without a server', async () => {
  const [read, glanced] = [await withHistory(160), await withHistory(160)]
  const context = await world.browser.newContext()
  const chat = await open(context, read)
  await chat.untilTexts(span(111, 160))
  assert.deepEqual([await loadOlder(chat), await loadOlder(chat), await loadOlder(chat)], [true, true, false])
  await chat.untilTexts(span(1, 160))
  assert.equal((await chat.view()).hasOlder, false)
  const other = await open(context, glanced)
  await other.untilTexts(span(111, 160))
  await chat.page.close()
  await other.page.close()

  const fault = storesOnly()
  const again = await open(context, read)
  await again.untilTexts(span(111, 160))
  assert.deepEqual([await loadOlder(again), await loadOlder(again), await loadOlder(again)], [true, true, false])
  await again.untilTexts(span(1, 160))
  const stranger = await open(context, glanced)
  await stranger.untilTexts(span(111, 160))
  assert.equal(await loadOlder(stranger), 'offline_history')
  assert.equal((await stranger.view()).hasOlder, true)
  world.faults.remove(fault.id)
  await until('the server is back', async () => (await loadOlder(stranger)) === true)
  assert.deepEqual([...chat.exceptions, ...again.exceptions, ...stranger.exceptions], [])
})

test('a tab that follows reads back through the leader, while both hear what is new', async () => {
  const conversation = await withHistory(120)
  const context = await world.browser.newContext()
  const leader = await open(context, conversation)
  await leader.untilConnected()
  const follower = await open(context, conversation)
  await follower.untilTexts(span(71, 120))
  const [more] = await Promise.all([loadOlder(follower), leader.sendAndWait('meanwhile')])
  assert.equal(more, true)
  await follower.untilTexts([...span(21, 120), 'meanwhile'])
  await leader.untilTexts([...span(71, 120), 'meanwhile'])
  assert.equal(await loadOlder(follower), false)
  assert.equal(await loadOlder(leader), true)
  await leader.untilTexts([...span(21, 120), 'meanwhile'])
})

/** Runs in a page before its own code: counts what is read of the cache. */
function count() {
  window.reads = { requests: 0, records: 0 }
  for (const name of ['get', 'getAll', 'openCursor', 'openKeyCursor', 'getAllKeys', 'count']) {
    const original = IDBObjectStore.prototype[name]
    IDBObjectStore.prototype[name] = function (...args) {
      const request = original.apply(this, args)
      if (this.name === 'messages' || this.name === 'conversations') {
        window.reads.requests++
        request.addEventListener('success', () => {
          const { result } = request
          window.reads.records += Array.isArray(result) ? result.length : Number(result !== undefined)
        })
      }
      return request
    }
  }
}

const STEP = 10_000

/** As if this page had read the whole conversation before: rows by the ten thousand, put where the client keeps them. */
async function keepAll(chat, conversation, count) {
  await chat.page.evaluate(async ([conversation, count, step]) => {
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    const [{ name }] = await indexedDB.databases()
    const database = await done(indexedDB.open(name))
    const write = async (work) => {
      const transaction = database.transaction(['messages', 'conversations'], 'readwrite', { durability: 'relaxed' })
      await work(transaction.objectStore('messages'), transaction.objectStore('conversations'))
      await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: () => reject(transaction.error) }))
    }
    const place = IDBKeyRange.bound([conversation, 0], [conversation, 1e9])
    const [like] = await done(database.transaction('messages').objectStore('messages').getAll(place, 1))
    for (let from = 1; from < like.seq; from += step) {
      await write((messages) => {
        for (let seq = from; seq < Math.min(from + step, like.seq); seq++) {
          messages.put({ ...like, seq, id: crypto.randomUUID(), content: String(seq) })
        }
      })
    }
    await write(async (messages, conversations) => {
      conversations.put({ ...await done(conversations.get(conversation)), low: 1 })
    })
    const kept = await done(database.transaction('messages').objectStore('messages').count(place))
    database.close()
    if (kept !== count) throw new Error(`${kept} rows are kept`)
  }, [conversation, count, STEP])
}

test('opening a conversation, and reading back, reads as many records of 100 cached messages as of 100,000', async (t) => {
  const cost = async (messages) => {
    const conversation = await withHistory(messages)
    const context = await world.browser.newContext()
    // A bound that is not reached: nothing is given up meanwhile.
    const first = await open(context, conversation, undefined, { keepMessages: 1_000_000 })
    await first.untilTexts(span(messages - 49, messages))
    await until('it is connected', async () => (await first.view()).sync === 'live')
    const page = first.page
    await page.waitForTimeout(1500)
    await keepAll(first, conversation, messages)
    await page.close()

    const fault = storesOnly()
    const chat = await open(context, conversation, (page) => page.addInitScript(count), { keepMessages: 1_000_000 })
    const began = Date.now()
    await chat.untilTexts(span(messages - 49, messages))
    const opened = Date.now() - began
    await chat.page.waitForTimeout(500)
    const reads = () => chat.page.evaluate(() => window.reads)
    const opening = await reads()
    assert.equal(await loadOlder(chat), messages > 100)
    await chat.untilTexts(span(messages - 99, messages))
    const after = await reads()
    world.faults.remove(fault.id)
    await context.close()
    return { opening, page: { requests: after.requests - opening.requests, records: after.records - opening.records }, opened }
  }
  const [small, large] = [await cost(100), await cost(100_000)]
  t.diagnostic(`100: ${JSON.stringify(small)}; 100,000: ${JSON.stringify(large)}`)
  assert.deepEqual(large.opening, small.opening)
  assert.deepEqual(large.page, small.page)
  assert.ok(small.opening.records >= 50 && small.opening.records <= 120, JSON.stringify(small.opening))
  assert.deepEqual(small.page, { requests: 2, records: 51 })
})

test('a bound is kept to: the longest conversation gives up its oldest messages, and nothing leaves the screen', async () => {
  const conversation = await withHistory(300)
  const context = await world.browser.newContext()
  const chat = await openChat(world, context, {
    user: world.users.operator, conversation, options: { keepMessages: 120 },
  })
  await chat.untilTexts(span(251, 300))
  for (let page = 0; page < 5; page++) await loadOlder(chat)
  await chat.untilTexts(span(1, 300))
  const kept = () => chat.page.evaluate(async () => {
    const [{ name }] = await indexedDB.databases()
    const database = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)))
    const request = database.transaction('messages').objectStore('messages').count()
    const count = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)))
    database.close()
    return count
  })
  await until('it is trimmed', async () => (await kept()) <= 120)
  assert.ok((await kept()) >= 50)
  assert.deepEqual(await chat.texts(), span(1, 300))
})

test('an edit and a delete of what nobody looks at show without a network', async () => {
  const [quiet, other] = [await withHistory(60), await withHistory(3)]
  const context = await world.browser.newContext()
  const chat = await open(context, other)
  const look = (id) => chat.page.evaluate((id) => {
    window.leave?.()
    window.conversation = window.client.conversation(id)
    window.leave = window.conversation.subscribe(() => {})
  }, id)
  await look(quiet)
  await chat.untilTexts(span(11, 60))
  await look(other)
  await chat.page.waitForTimeout(2500)
  const { client } = world.users
  const amend = async (content, kind, text) => {
    const [{ id }] = await world.sql`select id from public.chat_messages where conversation_id = ${quiet} and content = ${content}`
    const row = { id: crypto.randomUUID(), conversation_id: quiet, kind, target_id: id, content: text }
    const answer = await fetch(`${world.stack.url}/rest/v1/rpc/chat_send`, {
      method: 'POST',
      headers: { apikey: world.apiKey, authorization: `Bearer ${await world.tokenFor(client.id)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ expected_user: client.id, batch: [row] }),
    })
    assert.equal((await answer.json())[0].status, 'stored')
  }
  await amend('20', 'edit', 'edited')
  await amend('30', 'delete', '')
  await until('it is stored here', async () => {
    const [{ delivered_seq }] = await world.sql`
      select delivered_seq::int from public.chat_members where conversation_id = ${quiet} and user_id = ${world.users.operator.id}`
    return delivered_seq === 62
  })
  const fault = storesOnly()
  await look(quiet)
  await until('the edit is shown', async () => (await chat.texts()).includes('edited'))
  const { messages } = await chat.view()
  assert.deepEqual(messages.filter(({ edited_at, deleted_at }) => edited_at || deleted_at).map(({ content }) => content), ['edited', ''])
  world.faults.remove(fault.id)
})
