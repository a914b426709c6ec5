// The guide's Test 2 in a tab that does not lead: what it shows is what the leading tab does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { addBooking, assertStored, textsOf, useWorld } from './support/world.mjs'

const FAILED = 'Failed (3 retries) – unable to reach the server; because the network failed'
const TEXT = 'Written in the second tab.'
// 1 s, 2 s and 4 s between the four attempts.
const RHYTHM_MS = 7000

const world = useWorld()

async function openTabs(count, options) {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const tabs = []
  const open = async () => {
    const tab = await openDemo(world, context, 'operator', { booking, ...options })
    tabs.push(tab)
    return tab
  }
  for (let nth = 0; nth < count; nth++) await (await open()).untilConnection('connected')
  return { booking, context, tabs, open }
}

test('a message written offline in a second tab is sending, then failed after the third retry; Retry there brings it out', async () => {
  const { booking, context, tabs, open } = await openTabs(2, { resume: false })
  const [first, second] = tabs
  await context.setOffline(true)
  await second.untilConnection('disconnected')
  const sentAt = Date.now()
  await second.write(TEXT)
  await second.untilShown(TEXT, 'sending')
  await second.message(TEXT).getByRole('img', { name: 'Sending (1 retry)' }).waitFor()
  await second.untilShown(TEXT, 'failed')
  const took = Date.now() - sentAt
  assert.ok(took > RHYTHM_MS - 500 && took < RHYTHM_MS + 5000, `it took ${took} ms`)
  const rhythm = ['Sending', 'Sending (1 retry)', 'Sending (2 retries)', 'Sending (3 retries)', FAILED]
  assert.deepEqual(await second.statesOf(TEXT), rhythm)
  await first.untilShown(TEXT, 'failed')
  assert.equal(await first.statesOf(TEXT).then((states) => states.at(-1)), FAILED)

  await context.setOffline(false)
  await second.untilConnection('connected')
  const third = await open()
  await third.untilShown(TEXT, 'failed')
  assert.deepEqual(await textsOf(world, booking), [])
  await second.retryButtonOf(TEXT).click()
  for (const tab of tabs) await tab.untilShown(TEXT, 'sent')
  assert.equal((await second.statesOf(TEXT)).at(-1), 'Sent')
  await assertStored(world, booking, [TEXT])
  assert.deepEqual(tabs.flatMap(({ exceptions }) => exceptions), [])
})

test('what has failed in a second tab goes out by itself when the network is back', async () => {
  const { booking, context, tabs } = await openTabs(2)
  const [first, second] = tabs
  await context.setOffline(true)
  await second.write(TEXT)
  await second.untilShown(TEXT, 'failed')
  await context.setOffline(false)
  for (const tab of [first, second]) await tab.untilShown(TEXT, 'sent')
  await assertStored(world, booking, [TEXT])
  assert.deepEqual(tabs.flatMap(({ exceptions }) => exceptions), [])
})
