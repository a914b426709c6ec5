import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, rowsOf, textsOf, useWorld } from './support/world.mjs'

const world = useWorld()

async function openTwoTabs() {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const open = () => openChat(world, context, { user: world.users.operator, conversation })
  const first = await open()
  await first.untilConnected()
  const second = await open()
  await second.untilConnected()
  return { conversation, first, second }
}

const sentBy = (tab) => tab.sends.flatMap(({ texts }) => texts)

test('of two tabs the second enqueues and the first drains, one row each', async () => {
  const { conversation, first, second } = await openTwoTabs()
  const { held, pending } = await second.page.evaluate(() => navigator.locks.query())
  assert.deepEqual([held.length, pending.length], [1, 1], 'one leads, the other waits its turn')
  const fromSecond = ['One', 'Two', 'Three']
  for (const text of fromSecond) await second.send(text)
  await second.untilAre(fromSecond, STORED)
  assert.deepEqual(sentBy(second), [])
  assert.deepEqual([...new Set(sentBy(first))], fromSecond)
  await assertStored(world, conversation, fromSecond)

  const sendAll = (tab, name) => tab.page.evaluate((name) => {
    for (let index = 1; index <= 5; index++) window.send(`${name} ${index}`)
  }, name)
  await Promise.all([sendAll(first, 'first'), sendAll(second, 'second')])
  await until('13 rows are stored', async () => (await rowsOf(world, conversation)).length === 13)
  const stored = await textsOf(world, conversation)
  for (const name of ['first', 'second']) {
    assert.deepEqual(stored.filter((text) => text.startsWith(name)), [1, 2, 3, 4, 5].map((index) => `${name} ${index}`))
  }
  for (const tab of [first, second]) {
    await tab.untilAre(stored, STORED)
    await tab.untilTexts(stored)
    assert.deepEqual(tab.exceptions, [])
  }
  assert.deepEqual(sentBy(second), [])
  assert.equal(world.faults.list().sockets, 1)
})

test('when the first is closed, the second takes over what is unsent', async () => {
  const { conversation, first, second } = await openTwoTabs()
  const refusal = world.faults.add({ kind: 'refuse', match: 'send' })
  const left = ['Left behind', 'And this']
  await first.send(left[0])
  await second.send(left[1])
  await until('the first has tried', () => first.sends.length > 0)
  await first.page.close()
  world.faults.remove(refusal.id)
  await second.untilAre(left, STORED)
  await second.untilConnected()
  await second.sendAndWait('After it')
  const expected = [...left, 'After it']
  assert.deepEqual([...new Set(sentBy(second))], expected)
  await assertStored(world, conversation, expected)
  await second.untilTexts(expected)
})
