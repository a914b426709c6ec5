import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const TIMES = 10

const world = useWorld()

async function openOperator(booking) {
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking })
  await operator.untilConnection('connected')
  return operator
}

const lostAnswers = () => world.faults.list().hits.lose_answer ?? 0

test('ten messages, and each loses its answer after the commit: one row each, all shown as sent', async () => {
  const booking = await addBooking(world)
  const operator = await openOperator(booking)
  const texts = Array.from({ length: TIMES }, (_, index) => `Message ${index + 1}`)
  const before = lostAnswers()
  for (const text of texts) {
    world.faults.add({ kind: 'lose_answer', match: 'send', count: 1 })
    await operator.write(text)
    await operator.untilShown(text, 'sent')
  }
  assert.equal(lostAnswers() - before, TIMES)
  await assertStored(world, booking, texts)
  await operator.untilTexts(texts)
  for (const text of texts) assert.deepEqual((await operator.statesOf(text)).filter((state) => !/^Sending/.test(state)), ['Sent'])
})

test('one message loses ten answers in a row, and no other way tells of it: one row, shown as sent', async () => {
  const booking = await addBooking(world)
  const operator = await openOperator(booking)
  const text = 'Did you get this?'
  const before = lostAnswers()
  world.faults.add({ kind: 'drop_live' })
  world.faults.add({ kind: 'refuse', match: 'sync' })
  world.faults.add({ kind: 'lose_answer', match: 'send', count: TIMES })
  await operator.write(text)
  await until('it is sent at last, after as many clicks on Retry as it takes', async () => {
    const retry = operator.retryButtonOf(text)
    if (await retry.isVisible()) await retry.click()
    return (await operator.statesOf(text)).includes('Sent')
  }, 60)
  assert.equal(lostAnswers() - before, TIMES)
  await assertStored(world, booking, [text])
  world.faults.clear()
  await operator.untilTexts([text])
  assert.equal((await operator.statesOf(text)).at(-1), 'Sent')
})
