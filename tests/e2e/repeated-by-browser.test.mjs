import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const TIMES = 10

// Kept connections: when one breaks, Chromium sends the POST again by itself.
const world = useWorld({ stack: { keepAlive: true } })

test('a POST that Chromium repeats by itself makes no second row', async () => {
  const conversation = await addBooking(world)
  const chat = await openChat(world, await world.browser.newContext(), { user: world.users.operator, conversation })
  await chat.untilConnected()
  const texts = Array.from({ length: TIMES }, (_, index) => `Message ${index + 1}`)
  world.faults.add({ kind: 'lose_answer', match: 'send', count: TIMES })
  for (const text of texts) {
    await chat.send(text)
    await chat.untilAre([text], STORED)
  }
  const { hits, requests } = world.faults.list()
  assert.equal(hits.lose_answer, TIMES)
  assert.ok(requests['/rest/v1/rpc/chat_send'] > chat.sends.length, 'the server saw more requests than the page made')
  await assertStored(world, conversation, texts)
  await chat.untilTexts(texts)
  await until('nothing is pending', async () => (await chat.view()).pendingCount === 0)
  assert.deepEqual((await chat.events()).delivery.filter(({ status }) => status === 'failed'), [])
})
