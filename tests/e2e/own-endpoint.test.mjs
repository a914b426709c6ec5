import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { startEndpoint } from './support/ways.mjs'
import { addBooking, assertStored, rowsOf, useWorld } from './support/world.mjs'

const COUNT = 50

let endpoint
const world = useWorld({ prepare: async (world) => (endpoint = await startEndpoint(world)) })

async function open(context, role, booking) {
  const source = { kind: 'endpoint', url: endpoint.url }
  const chat = await openChat(world, context, { user: world.users[role], conversation: booking, options: { source } })
  await chat.untilConnected()
  return chat
}

test('the guide’s Test 1 through the app’s own endpoint: sending, sent, delivered', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  const client = await open(await world.browser.newContext(), 'client', booking)
  await operator.send('At nine.')
  await client.untilTexts(['At nine.'])
  await operator.untilAre(['At nine.'], ['read'])
  const { delivery } = await operator.events()
  assert.deepEqual(delivery.map(({ status }) => status), ['sending', 'sent', 'delivered', 'read'])
  await assertStored(world, booking, ['At nine.'])
  const [{ id }] = await rowsOf(world, booking)
  assert.deepEqual(endpoint.requests.at(-1), { key: id, content: 'At nine.' })
  assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
})

test('answers that are lost after the commit, or that say nothing of the row, make one row each', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  world.faults.add({ kind: 'drop_live' })
  endpoint.says = 'nothing'
  const texts = Array.from({ length: 6 }, (_, index) => `Message ${index + 1}`)
  for (const [index, text] of texts.entries()) {
    if (index % 2) endpoint.faults.push('lose')
    await operator.sendAndWait(text)
  }
  world.faults.clear()
  endpoint.says = 'row'
  await assertStored(world, booking, texts)
  await operator.untilTexts(texts)
})

test('50 messages fired without awaiting keep their order through lost answers, 500, 503 and 429', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  const texts = Array.from({ length: COUNT }, (_, index) => `Message ${index + 1}`)
  const kinds = ['lose', 503, null, null, 500, null, 'lose', null, null, 429]
  endpoint.faults.push(...Array.from({ length: COUNT }, (_, index) => kinds[index % kinds.length]))
  await operator.page.evaluate((texts) => texts.forEach((text) => window.send(text)), texts)
  await until('all are stored', async () => {
    await operator.page.evaluate(() => window.client.retryFailedMessages())
    return (await rowsOf(world, booking)).length >= COUNT
  }, 120)
  await assertStored(world, booking, texts)
  await operator.untilAre(texts, STORED, 60)
  assert.deepEqual(await operator.texts(), texts)
})

test('a page that is loaded anew with unsent messages sends them', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await open(context, 'operator', booking)
  endpoint.faults.push(...Array(20).fill(503))
  await operator.send('unsent one')
  await operator.send('unsent two')
  await operator.page.close()
  endpoint.faults.length = 0
  const again = await open(context, 'operator', booking)
  await again.untilAre(['unsent one', 'unsent two'], STORED)
  await assertStored(world, booking, ['unsent one', 'unsent two'])
})

test('a message that the endpoint refuses fails, and the next one goes', async () => {
  const booking = await addBooking(world)
  const operator = await open(await world.browser.newContext(), 'operator', booking)
  endpoint.faults.push(422)
  const { error } = await operator.sendAndWait('no')
  assert.deepEqual([error.code, error.retryable], ['rejected', false])
  await operator.sendAndWait('yes')
  await assertStored(world, booking, ['yes'])
})
