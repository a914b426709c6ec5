import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { createMessagesTable, TABLE, tableRows } from './support/ways.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const COUNT = 50
const INSTANTLY_MS = 2000

const world = useWorld({ prepare: createMessagesTable })

async function open(context, role, booking, options = {}) {
  const chat = await openChat(world, context, {
    user: world.users[role], conversation: booking, options: { source: TABLE, senderRole: role, ...options },
  })
  await chat.untilConnected()
  await until('it is live', async () => (await chat.view()).sync === 'live')
  return chat
}

const stored = async (booking) => (await tableRows(world, booking)).map(({ content }) => content)
const statesOf = async (chat) => (await chat.events()).delivery.map(({ status }) => status)

test('the guide’s Test 1 on the guide’s own table: instantly in the other tab, and sending turns to sent', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await open(context, 'operator', booking)
  const client = await open(await world.browser.newContext(), 'client', booking)
  const waits = client.page.waitForFunction(() => window.view().messages.some(({ content }) => content === 'At nine.'), null, { timeout: INSTANTLY_MS })
  await operator.send('At nine.')
  await waits
  await operator.untilAre(['At nine.'], ['sent'])
  assert.deepEqual(await statesOf(operator), ['sending', 'sent'])
  assert.deepEqual(await stored(booking), ['At nine.'])
  const { messages } = await client.view()
  assert.deepEqual(messages.map(({ sender_role, content }) => [sender_role, content]), [['operator', 'At nine.']])
  assert.equal(messages[0].delivery_status, undefined)
  await client.send('I will be there.')
  await operator.untilTexts(['At nine.', 'I will be there.'])
  assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
})

test('ten messages, and each loses its answer after the commit: one row each, all sent', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  const texts = Array.from({ length: 10 }, (_, index) => `Message ${index + 1}`)
  world.faults.add({ kind: 'drop_live' })
  const before = world.faults.list().hits.lose_answer ?? 0
  for (const text of texts) {
    world.faults.add({ kind: 'lose_answer', match: 'insert', count: 1 })
    await operator.sendAndWait(text)
  }
  assert.equal(world.faults.list().hits.lose_answer - before, texts.length)
  world.faults.clear()
  assert.deepEqual(await stored(booking), texts)
  await operator.untilAre(texts, ['sent'])
  await operator.untilTexts(texts)
})

test('50 messages fired without awaiting, from both sides, while answers are lost and servers are down: in order, none doubled', async () => {
  const booking = await addBooking(world)
  const people = await Promise.all(['operator', 'client'].map(async (role) => ({
    role, chat: await open(await world.browser.newContext(), role, booking),
    texts: Array.from({ length: COUNT }, (_, index) => `${role} ${index + 1}`),
  })))
  world.faults.add({ kind: 'lose_answer', match: 'insert', probability: 0.2, seed: 7 })
  world.faults.add({ kind: 'status', status: 503, match: 'insert', probability: 0.1, seed: 8 })
  await Promise.all(people.map(({ chat, texts }) => chat.page.evaluate((texts) => texts.forEach((text) => window.send(text)), texts)))
  await until('all are stored', async () => {
    await Promise.all(people.map(({ chat }) => chat.page.evaluate(() => window.client.retryFailedMessages())))
    return (await stored(booking)).length >= 2 * COUNT
  }, 120)
  world.faults.clear()
  const rows = await tableRows(world, booking)
  assert.equal(rows.length, 2 * COUNT)
  for (const { role, chat, texts } of people) {
    assert.deepEqual(rows.filter(({ sender_role }) => sender_role === role).map(({ content }) => content), texts)
    await chat.untilAre(texts, ['sent'], 60)
    await until('the screen shows all of them', async () => (await chat.view()).messages.length >= rows.length)
    assert.deepEqual((await chat.view()).messages.map(({ id }) => id), rows.map(({ id }) => id))
    await until('nothing waits any more', async () => (await chat.view()).pendingCount === 0)
  }
})

test('a page that is loaded anew with unsent messages sends them, and shows what was there', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await open(context, 'operator', booking)
  await operator.sendAndWait('before')
  world.faults.add({ kind: 'refuse', match: 'insert' })
  await operator.send('unsent one')
  await operator.send('unsent two')
  await operator.page.close()
  world.faults.clear()
  const again = await open(context, 'operator', booking)
  const texts = ['before', 'unsent one', 'unsent two']
  await again.untilAre(texts, ['sent'])
  assert.deepEqual(await again.texts(), texts)
  assert.deepEqual(await stored(booking), texts)
})

test('two tabs of one user share the outbox and show the same, whichever sends', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const first = await open(context, 'operator', booking)
  const second = await open(context, 'operator', booking)
  await second.sendAndWait('from the second')
  await first.sendAndWait('from the first')
  await world.sql`insert into public.messages (booking_id, sender_role, content) values (${booking}, 'client', 'an answer')`
  const texts = ['from the second', 'from the first', 'an answer']
  for (const chat of [first, second]) await chat.untilTexts(texts)
  await first.page.close()
  await second.sendAndWait('alone')
  assert.deepEqual(await stored(booking), [...texts, 'alone'])
  await second.untilTexts([...texts, 'alone'])
})

test('what was committed while the page was offline, and a transaction that commits late, take their places', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await open(context, 'operator', booking)
  const insert = (sql, content) => sql`insert into public.messages (booking_id, sender_role, content) values (${booking}, 'client', ${content})`
  await insert(world.sql, 'one')
  await operator.untilTexts(['one'])
  await context.setOffline(true)
  const late = await world.sql.reserve()
  await late`begin`
  await insert(late, 'begun first')
  for (const content of ['two', 'three']) await insert(world.sql, content)
  await context.setOffline(false)
  await operator.untilTexts(['one', 'two', 'three'])
  world.faults.add({ kind: 'drop_live' })
  await late`commit`
  late.release()
  world.faults.clear()
  await operator.page.evaluate(() => window.conversation.reload())
  await operator.untilTexts(['one', 'begun first', 'two', 'three'])
})

test('450 missed rows, 300 of them of one instant, are read in order', async () => {
  const booking = await addBooking(world)
  const insertMany = (from, to) => world.sql`
    insert into public.messages (booking_id, sender_role, content)
    select ${booking}, 'client', 'row ' || n from generate_series(${from}::int, ${to}::int) n`
  const context = await world.browser.newContext()
  const client = await open(context, 'client', booking)
  await context.setOffline(true)
  await insertMany(1, 300)
  for (let n = 301; n <= 450; n += 10) await insertMany(n, n + 9)
  await context.setOffline(false)
  const rows = await tableRows(world, booking)
  await until('all are there', async () => (await client.view()).messages.length >= rows.length)
  assert.deepEqual((await client.view()).messages.map(({ id }) => id), rows.map(({ id }) => id))
})

test('a row that the app’s checks refuse fails with its code, and the next one goes', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  const { error } = await operator.sendAndWait('refuse me')
  assert.deepEqual([error.code, error.retryable], ['rejected', false])
  await operator.sendAndWait('welcome')
  assert.deepEqual(await stored(booking), ['welcome'])
  const [{ id }] = await tableRows(world, booking)
  const refusal = await operator.page.evaluate((id) => window.conversation.cancel(id).catch(({ code }) => code), id)
  assert.equal(refusal, 'unsupported')
})

test('a stranger to the booking reads nothing of it and writes nothing into it', async () => {
  const booking = await addBooking(world)
  await world.sql`insert into public.messages (booking_id, sender_role, content) values (${booking}, 'client', 'private')`
  const stranger = await open(await world.browser.newContext(), 'stranger', booking, { senderRole: 'operator' })
  const { error } = await stranger.sendAndWait('let me in')
  assert.equal(error.code, 'forbidden')
  assert.deepEqual((await stranger.view()).messages.map(({ content }) => content), ['let me in'])
  assert.deepEqual(await stored(booking), ['private'])
})
