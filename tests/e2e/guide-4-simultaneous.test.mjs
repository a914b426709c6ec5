import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { follow } from './support/guide.mjs'
import { addBooking, textsOf, useWorld } from './support/world.mjs'

const TITLE = 'Test 4: Simultaneous Messages'
const FROM_OPERATOR = 'Shall we meet at the pier?'
const FROM_CLIENT = 'Where do we meet?'

const world = useWorld()

test(TITLE, async (t) => {
  const booking = await addBooking(world)
  let operator, client

  await follow(t, TITLE, {
    async '1. Open operator and client'() {
      const open = async (role) => openDemo(world, await world.browser.newContext(), role, { booking, background: true })
      ;[operator, client] = await Promise.all([open('operator'), open('client')])
      await Promise.all([operator.untilConnection('connected'), client.untilConnection('connected')])
    },
    async '2. Send message from operator'() {
      await Promise.all([operator.composer.fill(FROM_OPERATOR), client.composer.fill(FROM_CLIENT)])
      await operator.composer.press('Enter')
    },
    async '3. Immediately send message from client'() {
      await client.composer.press('Enter')
    },
    async '4. ✅ Both messages deliver'() {
      await Promise.all([client.message(FROM_OPERATOR).waitFor(), operator.message(FROM_CLIENT).waitFor()])
    },
    async '5. ✅ Both show "delivered" status'() {
      await Promise.all([operator.untilShown(FROM_OPERATOR, 'delivered'), client.untilShown(FROM_CLIENT, 'delivered')])
    },
    async '6. ✅ Order is preserved'() {
      const stored = await textsOf(world, booking)
      assert.deepEqual([...stored].sort(), [FROM_OPERATOR, FROM_CLIENT].sort())
      await Promise.all([operator.untilTexts(stored), client.untilTexts(stored)])
      assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
    },
  })
})
