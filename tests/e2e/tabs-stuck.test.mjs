// The leading tab is stuck, about to freeze, dead, or out of sight; and browsers without Web Locks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const world = useWorld()

/** Two beats, three seconds of silence, and time to send. */
const TAKEN_OVER_SECONDS = 18
/** A lease that nobody renews, and time to send. */
const RUN_OUT_SECONDS = 20

async function openTabs({ before } = {}) {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const open = async () => {
    const tab = await openChat(world, context, { user: world.users.operator, conversation, before })
    await tab.untilConnected()
    return tab
  }
  const first = await open()
  return { conversation, context, first, second: await open(), open }
}

const withoutLocks = (page) => page.addInitScript(() => delete Navigator.prototype.locks)

const sentBy = (tab) => [...new Set(tab.sends.flatMap(({ texts }) => texts))]

function setVisibility({ page }, state) {
  return page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
  }, state)
}

/** Only the event: Playwright keeps every page focused, and none can be frozen. The chaos run freezes pages in earnest. */
function lifecycle({ page }, event) {
  return page.evaluate((event) => document.dispatchEvent(new Event(event)), event)
}

/** Without a word: no event, no release. */
async function crash({ page }) {
  const crashed = page.waitForEvent('crash')
  const session = await page.context().newCDPSession(page)
  session.send('Page.crash').catch(() => {})
  await crashed
}

test('a leader whose thread is stuck is robbed in bounded time, and comes back as a follower', async () => {
  const { conversation, first, second } = await openTabs()
  await first.sendAndWait('Before')
  const stuck = first.page.evaluate(() => {
    const end = performance.now() + 25_000
    while (performance.now() < end);
  })
  await second.send('While it is stuck')
  await second.page.waitForFunction(() => window.events.connection.at(-1) === 'reconnecting', null, { timeout: TAKEN_OVER_SECONDS * 1000 })
  await second.untilAre(['While it is stuck'], STORED, TAKEN_OVER_SECONDS)
  await second.untilConnected()
  await stuck
  await first.send('After')
  const expected = ['Before', 'While it is stuck', 'After']
  for (const tab of [first, second]) {
    await tab.untilAre(['After'], STORED)
    await tab.untilTexts(expected)
    assert.deepEqual(tab.exceptions, [])
  }
  assert.deepEqual([sentBy(first), sentBy(second)], [['Before'], expected.slice(1)])
  await assertStored(world, conversation, expected)
})

test('a leader that is about to freeze lets go of the lock, and reads anew when it is resumed', async () => {
  const { conversation, first, second } = await openTabs()
  await first.sendAndWait('Before')
  await lifecycle(first, 'freeze')
  await second.send('While it is frozen')
  await second.untilAre(['While it is frozen'], STORED, 5)
  await lifecycle(first, 'resume')
  const expected = ['Before', 'While it is frozen', 'After']
  await first.untilTexts(expected.slice(0, 2))
  await first.send('After')
  await first.untilAre(['After'], STORED)
  assert.deepEqual([sentBy(first), sentBy(second)], [['Before'], expected.slice(1)])
  await assertStored(world, conversation, expected)
})

test('a leader that crashes with an answer out is followed by a tab that doubles nothing', async () => {
  const { conversation, first, second } = await openTabs()
  const loss = world.faults.add({ kind: 'lose_answer', match: 'send' })
  await first.send('On its way')
  await until('the first has tried', () => first.sends.length > 0)
  await crash(first)
  world.faults.remove(loss.id)
  await second.send('After the crash')
  const expected = ['On its way', 'After the crash']
  await second.untilAre(expected, STORED)
  await assertStored(world, conversation, expected)
  await second.untilTexts(expected)
})

test('a hidden leader hands the lead to the tab that somebody looks at', async () => {
  const { conversation, first, second } = await openTabs()
  await setVisibility(first, 'hidden')
  await until('the second leads', async () => {
    await first.send('Who sends this?')
    await first.untilAre(['Who sends this?'], STORED)
    return second.sends.length > 0
  })
  await second.untilConnected()
  const texts = await second.texts()
  await first.untilTexts(texts)
  await assertStored(world, conversation, texts)
})

test('what a person does in a following tab is done by the leader', async () => {
  const { conversation, first, second } = await openTabs()
  const refusal = world.faults.add({ kind: 'refuse', match: 'send' })
  const [kept, taken] = [await second.send('Once more'), await second.send('Taken back')]
  await first.untilAre(['Once more', 'Taken back'], ['failed'])
  await second.page.evaluate(([conversation, id]) => window.client.cancelMessage(conversation, id), [conversation, taken.message.id])
  world.faults.remove(refusal.id)
  await second.page.evaluate(() => window.client.retryFailedMessages())
  await second.untilAre([kept.message.content], STORED)
  for (const tab of [first, second]) await tab.untilTexts(['Once more'])
  assert.deepEqual(sentBy(second), [])
  await assertStored(world, conversation, ['Once more'])
})

test('without Web Locks two tabs lose and double nothing, and the one that is left takes over', async () => {
  const { conversation, first, second } = await openTabs({ before: withoutLocks })
  assert.equal(await first.page.evaluate(() => typeof navigator.locks), 'undefined')
  const sendAll = (tab, name) => tab.page.evaluate(async (name) => {
    for (let index = 1; index <= 10; index++) await window.send(`${name} ${index}`).persisted
  }, name)
  await Promise.all([sendAll(first, 'first'), sendAll(second, 'second')])
  const names = (name) => Array.from({ length: 10 }, (_, index) => `${name} ${index + 1}`)
  for (const tab of [first, second]) await tab.untilAre([...names('first'), ...names('second')], STORED)
  const stored = await first.texts()
  for (const name of ['first', 'second']) assert.deepEqual(stored.filter((text) => text.startsWith(name)), names(name))
  assert.deepEqual(await second.texts(), stored)
  assert.deepEqual(sentBy(second), [], 'one leads')
  await assertStored(world, conversation, stored)

  await first.page.close()
  await second.sendAndWait('Its lease was given up')
  assert.deepEqual(sentBy(second), ['Its lease was given up'])
  await assertStored(world, conversation, [...stored, 'Its lease was given up'])
})

test('without Web Locks the lease of a dead tab runs out', async () => {
  const { conversation, first, second, open } = await openTabs({ before: withoutLocks })
  await first.sendAndWait('Before')
  await crash(first)
  await second.send('Waits for the lease')
  await second.untilAre(['Waits for the lease'], STORED, RUN_OUT_SECONDS)
  const third = await open()
  await third.sendAndWait('From a third')
  const expected = ['Before', 'Waits for the lease', 'From a third']
  for (const tab of [second, third]) await tab.untilTexts(expected)
  assert.deepEqual(sentBy(third), [])
  await assertStored(world, conversation, expected)
})
