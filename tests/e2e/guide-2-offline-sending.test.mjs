import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { follow } from './support/guide.mjs'
import { addBooking, assertStored, textsOf, useWorld } from './support/world.mjs'

const FAILED = 'Failed (3 retries) – unable to reach the server; because the network failed'
const TITLE = 'Test 2: Offline Message Sending'
const TEXT = 'Written in a tunnel.'
// 1 s, 2 s and 4 s between the four attempts.
const RHYTHM_MS = 7000

const world = useWorld()

test(`${TITLE}, to the letter: resumeOnReconnect is false`, async (t) => {
  const scene = await prepare({ resume: false })
  await follow(t, TITLE, {
    ...untilTheNetworkIsBack(scene),
    async '8. ✅ "Retry" button appears'() {
      await scene.operator.untilConnection('connected')
      await scene.operator.retryButtonOf(TEXT).waitFor()
      assert.deepEqual(await textsOf(world, scene.booking), [])
    },
    async '9. Click retry'() {
      await scene.operator.retryButtonOf(TEXT).click()
    },
    async '10. ✅ Message sends successfully'() {
      await arrives(scene)
    },
  })
})

test(`${TITLE}, by default: it arrives without a click`, async (t) => {
  const scene = await prepare({ resume: true })
  await follow(t, TITLE, untilTheNetworkIsBack(scene), { upTo: 7 })
  await t.test('✅ Message sends successfully', () => arrives(scene))
})

async function prepare({ resume }) {
  return { resume, booking: await addBooking(world), context: await world.browser.newContext() }
}

function untilTheNetworkIsBack(scene) {
  let sentAt
  return {
    async '1. Open operator dashboard'() {
      const { context, booking, resume } = scene
      scene.operator = await openDemo(world, context, 'operator', { booking, resume })
      await scene.operator.untilConnection('connected')
    },
    async '2. Turn off internet (disable WiFi)'() {
      await scene.context.setOffline(true)
    },
    async '3. Try to send message'() {
      await scene.operator.write(TEXT)
      sentAt = Date.now()
    },
    async '4. ✅ Shows "sending" status'() {
      await scene.operator.untilShown(TEXT, 'sending')
    },
    async '5. ✅ Retries automatically'() {
      await scene.operator.message(TEXT).getByRole('img', { name: 'Sending (1 retry)' }).waitFor()
    },
    async '6. ✅ After 3 attempts, shows "failed"'() {
      await scene.operator.untilShown(TEXT, 'failed')
      const took = Date.now() - sentAt
      assert.ok(took > RHYTHM_MS - 500 && took < RHYTHM_MS + 5000, `it took ${took} ms`)
      assert.deepEqual(await scene.operator.statesOf(TEXT), [
        'Sending', 'Sending (1 retry)', 'Sending (2 retries)', 'Sending (3 retries)', FAILED,
      ])
    },
    async '7. Turn internet back on'() {
      await scene.context.setOffline(false)
    },
  }
}

async function arrives({ operator, booking }) {
  const client = await openDemo(world, await world.browser.newContext(), 'client', { booking, background: true })
  await client.message(TEXT).waitFor()
  await operator.untilShown(TEXT, 'delivered')
  assert.deepEqual((await operator.statesOf(TEXT)).filter((state) => !/^Sending/.test(state)), [FAILED, 'Sent', 'Delivered'])
  await assertStored(world, booking, [TEXT])
  assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
}
