import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { follow } from './support/guide.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const TEXT = 'The boat leaves at nine.'
const INSTANTLY_MS = 2000

const world = useWorld()

test('Test 1: Normal Message Delivery', async (t) => {
  const context = await world.browser.newContext()
  const booking = await addBooking(world)
  let operator, client

  await follow(t, 'Test 1: Normal Message Delivery', {
    async '1. Open operator dashboard'() {
      operator = await openDemo(world, context, 'operator', { booking })
      await operator.untilConnection('connected')
    },
    async '2. Open client chat in another tab'() {
      client = await openDemo(world, context, 'client', { booking, background: true })
      await client.untilConnection('connected')
    },
    async '3. Send message from operator'() {
      await operator.write(TEXT)
    },
    async '4. ✅ Should appear instantly in client chat'() {
      await client.message(TEXT).waitFor({ timeout: INSTANTLY_MS })
    },
    async '5. ✅ Delivery indicator changes: sending → sent → delivered'() {
      await operator.untilShown(TEXT, 'delivered')
      assert.deepEqual(await operator.statesOf(TEXT), ['Sending', 'Sent', 'Delivered'])
    },
  })

  await t.test('beyond the guide: it turns to read when somebody looks at the tab', async () => {
    await client.page.evaluate(() => window.show())
    await operator.untilShown(TEXT, 'read')
    await assertStored(world, booking, [TEXT])
    assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
  })
})
