// The list of a dashboard: 500 bookings over one socket and one channel, one request for all that are behind.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addManyBookings } from '../../dev/demo/lib/many-bookings.mjs'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld, withinLimits } from './support/world.mjs'

const BOOKINGS = 500
const BEHIND = 20

const world = useWorld()

async function say(user, batch) {
  const answer = await fetch(`${world.stack.url}/rest/v1/rpc/chat_send`, {
    method: 'POST',
    headers: { apikey: world.apiKey, authorization: `Bearer ${await world.tokenFor(user.id)}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      expected_user: user.id,
      batch: batch.map(([conversation_id, content]) => ({ id: crypto.randomUUID(), conversation_id, content })),
    }),
  })
  assert.equal(answer.status, 200)
  assert.ok((await answer.json()).every(({ status }) => status === 'stored'))
}

/** A tab of the operator that shows the list; with its requests for rows, in bytes there and back. */
async function openList(context, { conversation, before = async () => {} } = {}) {
  const syncs = []
  const joins = []
  const chat = await openChat(world, context, {
    user: world.users.operator, conversation,
    before: async (page) => {
      page.on('requestfinished', async (request) => {
        if (request.method() !== 'POST' || !/\/rpc\/chat_(sync|list)$/.test(request.url())) return
        const sync = { name: request.url().split('/').at(-1), sent: request.postDataBuffer().length, got: 0, asked: request.postDataJSON() }
        syncs.push(sync)
        // A page that closes takes the answer along.
        const body = await request.response().then((response) => response.body()).catch(() => '')
        sync.got = body.length
      })
      page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
        const frame = typeof payload === 'string' ? JSON.parse(payload) : []
        if (frame[3] === 'phx_join') joins.push(frame[2])
      }))
      await before(page)
    },
  })
  await chat.page.evaluate(() => void window.client.conversations.subscribe(() => {}))
  const snapshot = () => chat.page.evaluate(() => window.client.conversations.getSnapshot())
  const untilList = (what, check, seconds) => until(what, async () => {
    const list = await snapshot()
    return check(list) && list
  }, seconds)
  return { chat, page: chat.page, syncs, joins, snapshot, untilList }
}

const lineOf = (list, id) => list.conversations.find((line) => line.id === id)
const isLive = (list) => !list.isLoading && list.sync === 'live'

/** No network: requests fail, and the socket is cut, which being offline alone would only stall. */
async function offline(context, work) {
  await context.setOffline(true)
  const fault = world.faults.add({ kind: 'cut_sockets' })
  const result = await work()
  world.faults.remove(fault.id)
  await context.setOffline(false)
  return result
}

describe('the list of 500 bookings', () => {
  let ids, context, list
  withinLimits(world)

  test('first contact: summaries alone', async (t) => {
    ids = await addManyBookings(world, BOOKINGS)
    context = await world.browser.newContext()
    const begun = performance.now()
    list = await openList(context)
    const all = await list.untilList('all are there', ({ conversations }) => conversations.length >= BOOKINGS)
    const ms = performance.now() - begun
    await list.untilList('it is live', isLive)
    assert.equal(all.totalUnread, BOOKINGS / 10)
    const line = lineOf(all, ids[1])
    assert.deepEqual([line.role, line.unread, line.last_message.content], ['operator', 0, 'Great, thank you! See you then.'])
    const [first] = list.syncs
    t.diagnostic(`first contact: ${BOOKINGS} conversations in ${ms.toFixed(0)} ms from the opening of the page; ` +
      list.syncs.map(({ name, sent, got }) => `${name} ${sent} bytes there, ${got} back`).join('; '))
    assert.ok(first.got < BOOKINGS * 1200, `${first.got} bytes`)
    assert.ok(list.syncs.every(({ name }) => name === 'chat_list'))
    assert.deepEqual(new Set(list.joins), new Set([`realtime:chat-user:${world.users.operator.id}`]), 'one channel')
  })

  test(`after a reconnect with ${BEHIND} behind: one request`, async (t) => {
    await list.untilList('it is live', isLive)
    await sleep(1500)
    list.syncs.length = 0
    const behind = ids.slice(100, 100 + BEHIND)
    await offline(context, async () => {
      await list.untilList('it is stale', ({ sync }) => sync === 'stale')
      await say(world.users.client, behind.flatMap((id) => [[id, 'While you were away'], [id, 'Are you there?']]))
    })
    const begun = performance.now()
    const caughtUp = await list.untilList('all have come', ({ conversations }) =>
      behind.every((id) => conversations.find((line) => line.id === id).last_message.content === 'Are you there?'))
    const ms = performance.now() - begun
    await list.untilList('it is live', isLive)
    await sleep(1500)
    assert.deepEqual(new Set(caughtUp.conversations.slice(0, BEHIND).map(({ id }) => id)), new Set(behind), 'the latest first')
    for (const id of behind) assert.equal(lineOf(caughtUp, id).unread, ids.indexOf(id) % 10 === 0 ? 3 : 2)
    t.diagnostic(`${BEHIND} of ${BOOKINGS} behind: ${list.syncs.length} request, ${list.syncs[0].sent} bytes there, ${list.syncs[0].got} back, caught up after ${ms.toFixed(0)} ms`)
    assert.equal(list.syncs.length, 1)
    assert.deepEqual(list.syncs[0].asked.cursors, {})
    await until('the rows are acknowledged as delivered', async () => {
      const [{ count }] = await world.sql`
        select count(*)::int as count from chat_members
        where user_id = ${world.users.operator.id} and delivered_seq = 5 and conversation_id = any (${behind})`
      return count === BEHIND
    })
  })

  test('live: unread counts, edits and own messages without a request', async () => {
    list.syncs.length = 0
    const id = ids[7]
    await say(world.users.client, [[id, 'Live one'], [id, 'Live two']])
    const shown = await list.untilList('it came live', (all) => lineOf(all, id).last_message.content === 'Live two')
    assert.deepEqual([lineOf(shown, id).unread, shown.conversations[0].id], [2, id])
    await list.page.evaluate(async (id) => window.client.send(id, { content: 'Answered from here' }).sent, id)
    await list.untilList('the own one is the last', (all) => lineOf(all, id).last_message.content === 'Answered from here' && lineOf(all, id).unread === 2)
    assert.deepEqual(list.syncs, [])
  })

  test('opening one fetches its page once; what is cached needs no network, and unread falls in every tab', async () => {
    const id = ids[7]
    const other = await openList(context)
    await other.untilList('the other tab shows the same', (all) => !all.isLoading && lineOf(all, id)?.unread === 2)
    const read = (page) => page.evaluate(async (id) => {
      const conversation = window.client.conversation(id)
      const stop = conversation.subscribe(() => {})
      while (!conversation.getSnapshot().loaded || conversation.getSnapshot().messages.length < 6) await new Promise((done) => setTimeout(done, 20))
      const { messages } = conversation.getSnapshot()
      stop()
      return messages.map(({ content }) => content)
    }, id)
    assert.deepEqual((await read(other.page)).slice(-4), ['Great, thank you! See you then.', 'Live one', 'Live two', 'Answered from here'])
    for (const tab of [list, other]) await tab.untilList('nothing is unread', (all) => lineOf(all, id).unread === 0)
    await until('the server knows', async () => {
      const [{ read_seq }] = await world.sql`select read_seq::int from chat_members where conversation_id = ${id} and user_id = ${world.users.operator.id}`
      return read_seq >= 5
    })
    await sleep(2500)
    list.syncs.length = 0
    other.syncs.length = 0
    assert.equal((await read(list.page)).length, 6)
    assert.equal((await read(other.page)).length, 6)
    assert.deepEqual([list.syncs, other.syncs], [[], []])
    await other.page.close()
  })

  test('unread falls when it is read on another device', async () => {
    const id = ids[10]
    assert.equal(lineOf(await list.snapshot(), id).unread, 1)
    await world.sql`update chat_members set read_seq = 3 where conversation_id = ${id} and user_id = ${world.users.operator.id}`
    await list.untilList('it fell', (all) => lineOf(all, id).unread === 0)
  })

  test('a page without a network shows the list at once', async () => {
    const before = await list.snapshot()
    await list.page.close()
    const fault = world.faults.add({ kind: 'refuse', match: 'all' })
    const sockets = world.faults.add({ kind: 'refuse_sockets' })
    list = await openList(context)
    const shown = await list.untilList('the cache shows', ({ isLoading }) => !isLoading)
    assert.deepEqual(shown.conversations, before.conversations)
    assert.notEqual(shown.sync, 'live')
    world.faults.remove(fault.id)
    world.faults.remove(sockets.id)
    await list.untilList('it is live again', isLive, 40)
  })

  test('a new booking stands in the list before anything is said in it, with one request', async () => {
    list.syncs.length = 0
    const id = await addBooking(world)
    const shown = await list.untilList('it is there', (all) => lineOf(all, id), 10)
    assert.deepEqual([lineOf(shown, id).last_message, lineOf(shown, id).unread], [null, 0])
    await until('the answer was read', () => list.syncs[0]?.got > 0)
    assert.ok(list.syncs.length === 1 && list.syncs[0].got < BOOKINGS * 100, JSON.stringify(list.syncs))
    await world.sql`delete from public.chat_conversations where id = ${id}`
    await list.untilList('deleted, it is gone', (all) => !lineOf(all, id), 10)
  })

  test('membership that is withdrawn takes the line and its cache', async () => {
    const id = ids[7]
    await world.sql`update public.bookings set operator_id = null where id = ${id}`
    await list.untilList('it is gone', (all) => !lineOf(all, id), 10)
    const kept = await list.page.evaluate(async (id) => {
      const [{ name }] = (await indexedDB.databases()).filter(({ name }) => name.startsWith('surechat:'))
      const database = await new Promise((done) => (indexedDB.open(name).onsuccess = (event) => done(event.target.result)))
      const all = (table) => new Promise((done) => (database.transaction(table).objectStore(table).getAll().onsuccess = (event) => done(event.target.result)))
      const records = [...await all('conversations'), ...await all('messages')]
      database.close()
      return records.filter((record) => JSON.stringify(record).includes(id)).length
    }, id)
    assert.equal(kept, 0)
    assert.equal((await list.snapshot()).conversations.length, BOOKINGS + 5 - 1, 'with the five of the seed')
    await context.close()
  })
})

test('two pages, one offline for 500 messages: caught up', async (t) => {
  const id = await addBooking(world)
  const contexts = [await world.browser.newContext(), await world.browser.newContext()]
  const behind = await openList(contexts[0], { conversation: id })
  const awake = await openChat(world, contexts[1], { user: world.users.client, conversation: id })
  await behind.untilList('it is live', isLive)
  await awake.untilConnected()
  const texts = Array.from({ length: 500 }, (_, n) => `Message ${n + 1}`)
  await offline(contexts[0], async () => {
    await awake.page.evaluate((texts) => Promise.all(texts.map((text) => window.send(text).sent)).then(() => {}), texts)
    behind.syncs.length = 0
  })
  const begun = performance.now()
  await behind.chat.untilTexts(texts)
  const ms = performance.now() - begun
  t.diagnostic(`offline for 500 messages: caught up after ${ms.toFixed(0)} ms with ${behind.syncs.length} requests, ` +
    behind.syncs.map(({ sent, got }) => `${sent} bytes there, ${got} back`).join('; '))
  const list = await behind.untilList('the list knows', (all) => lineOf(all, id)?.last_message?.content === 'Message 500')
  assert.equal(lineOf(list, id).unread, 0, 'it stands on the screen')
  await Promise.all(contexts.map((context) => context.close()))
})
