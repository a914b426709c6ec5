import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, rowsOf, useWorld } from './support/world.mjs'

const COUNT = 50

const world = useWorld()

test('50 messages fired without awaiting, while answers are lost and servers are down: in order, none doubled', async () => {
  const conversation = await addBooking(world)
  const people = await Promise.all(['operator', 'client'].map(async (role) => {
    const user = world.users[role]
    const chat = await openChat(world, await world.browser.newContext(), { user, conversation })
    await chat.untilConnected()
    // A first page that comes when more is said already than it holds begins below the top.
    await until('the conversation is live', async () => (await chat.view()).sync === 'live')
    return { user, chat, texts: Array.from({ length: COUNT }, (_, index) => `${role} ${index + 1}`) }
  }))
  for (const { user } of people) {
    // One of each for certain, and then as it comes.
    world.faults.add({ kind: 'lose_answer', match: 'send', count: 1, user: user.id })
    world.faults.add({ kind: 'status', status: 503, match: 'send', count: 1, user: user.id })
  }
  world.faults.add({ kind: 'lose_answer', match: 'send', probability: 0.3 })
  world.faults.add({ kind: 'status', status: 503, match: 'send', probability: 0.1 })

  // Half of them in one go, the others one by one.
  await Promise.all(people.map(({ chat, texts }) => chat.page.evaluate((texts) => {
    const half = texts.length / 2
    for (const text of texts.slice(0, half)) window.send(text)
    texts.slice(half).forEach((text, index) => setTimeout(() => window.send(text), 100 * index))
  }, texts)))

  await until('all are stored', async () => (await rowsOf(world, conversation)).length >= people.length * COUNT, 90)
  await Promise.all(people.map(({ chat, texts }) => chat.untilAre(texts, STORED, 90)))
  const { hits } = world.faults.list()
  assert.ok(hits.lose_answer >= people.length && hits.status >= people.length, JSON.stringify(hits))

  const rows = await rowsOf(world, conversation)
  assert.deepEqual(rows.map(({ seq }) => seq), rows.map((_, index) => index + 1))
  assert.equal(rows.length, people.length * COUNT)
  for (const { user, texts } of people) {
    assert.deepEqual(rows.filter(({ sender_id }) => sender_id === user.id).map(({ content }) => content), texts)
  }
  for (const { chat } of people) {
    await until('the screen shows all of them', async () => (await chat.view()).messages.length >= rows.length)
    assert.deepEqual((await chat.view()).messages.map(({ id, content }) => ({ id, content })), rows.map(({ id, content }) => ({ id, content })))
    // A row that came live before its answer is shown as stored, and counted until the answer is in or given up.
    await until('nothing waits any more', async () => (await chat.view()).pendingCount === 0)
    assert.deepEqual(chat.exceptions, [])
  }
})
