// Pages that the browser puts to sleep in earnest: frozen, and kept in the back/forward cache.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { launchBare } from './support/bare.mjs'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const world = useWorld({ prepare: async (world) => (world.bare = await launchBare(world)) })

const untilSame = async (page, texts, seconds) => {
  await until(`${texts.length} messages are there`, async () => (await page.texts()).length >= texts.length, seconds)
  assert.deepEqual(await page.texts(), texts)
}

test('two pages, one asleep for 500 messages, then awake: caught up with few requests', async (t) => {
  const { operator, client } = world.users
  const conversation = await addBooking(world)
  const asleep = await world.bare.open({ user: operator, conversation })
  const context = await world.browser.newContext()
  const awake = await openChat(world, context, { user: client, conversation })
  await awake.untilConnected()
  await asleep.tab.freeze()
  const texts = Array.from({ length: 500 }, (_, n) => `Message ${n + 1}`)
  await awake.page.evaluate((texts) => Promise.all(texts.map((text) => window.send(text).sent)).then(() => {}), texts)
  asleep.requests.length = 0
  const begun = performance.now()
  await asleep.tab.thaw()
  await untilSame(asleep, texts)
  const seconds = (performance.now() - begun) / 1000
  await asleep.untilConnected()
  t.diagnostic(`asleep for 500 messages: caught up after ${seconds.toFixed(1)} s with ${asleep.requests.length} requests: ${asleep.requests.join(', ')}`)
  // Three pages of 200, one question more when the channel is ready, and receipts, which are gathered, twice.
  assert.ok(asleep.requests.length <= 6, asleep.requests.join(', '))
  await asleep.tab.close()
  await context.close()
})

/** Leaves the page for another one while `meanwhile` runs, and comes back to it out of the back/forward cache. */
async function throughCache(page, meanwhile) {
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (window.persisted = persisted)))
  const back = await page.leave()
  await meanwhile()
  await back()
  await until('the page is back', () => page.evaluate(() => window.persisted !== undefined))
  assert.equal(await page.evaluate(() => window.persisted), true)
}

test('a page that comes back from the back/forward cache: shown once, connected, and it sends', async () => {
  const { operator, client } = world.users
  const conversation = await addBooking(world)
  const page = await world.bare.open({ user: operator, conversation })
  const context = await world.browser.newContext()
  const writer = await openChat(world, context, { user: client, conversation })
  await throughCache(page, () => writer.sendAndWait('While you were away'))
  await untilSame(page, ['While you were away'])
  await page.untilConnected()
  await page.evaluate(() => window.send('Back again').sent.then(() => {}))
  const texts = ['While you were away', 'Back again']
  await untilSame(page, texts)
  await writer.untilTexts(texts)
  await assertStored(world, conversation, texts)
  await context.close()
  await page.tab.close()
})

// Chromium drops a page from that cache to whose BroadcastChannel another tab speaks.
for (const first of ['leads', 'follows']) {
  test(`a page that ${first} is in the back/forward cache while another tab of the same user sends: it is still there, and misses nothing`, async () => {
    const { operator } = world.users
    const conversation = await addBooking(world)
    const open = () => world.bare.open({ user: operator, conversation })
    const [one, two] = [await open(), await open()]
    const [page, other] = first === 'leads' ? [one, two] : [two, one]
    const texts = Array.from({ length: 10 }, (_, n) => `Message ${n + 1}`)
    await throughCache(page, async () => {
      await other.untilConnected()
      for (const text of texts) await other.evaluate((text) => window.send(text).sent.then(() => {}), text)
    })
    await untilSame(page, texts)
    await page.evaluate(() => window.send('Back again').sent.then(() => {}))
    texts.push('Back again')
    for (const tab of [page, other]) await untilSame(tab, texts)
    await assertStored(world, conversation, texts)
    for (const { tab } of [page, other]) await tab.close()
  })
}
