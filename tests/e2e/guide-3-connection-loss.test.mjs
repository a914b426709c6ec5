import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDemo } from './support/demo.mjs'
import { follow } from './support/guide.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const TITLE = 'Test 3: Connection Loss Recovery'
const OUTAGE_MS = 10_000
const RELOAD_S = 3
const BEFORE = 'Said before the outage.'
const MISSED = 'Said while nobody could hear it.'

const world = useWorld()

test(TITLE, async (t) => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  let windows, outage, syncs
  const both = (work) => Promise.all(windows.map(work))
  const syncRequests = () => world.faults.list().requests['/rest/v1/rpc/chat_sync']

  await follow(t, TITLE, {
    async '1. Start with both windows open'() {
      windows = await Promise.all(['operator', 'client'].map((role) => openDemo(world, context, role, { booking })))
      await both((person) => person.untilConnection('connected'))
      await windows[0].write(BEFORE)
      await both((person) => person.message(BEFORE).waitFor())
    },
    async '2. Disconnect internet for 10 seconds'() {
      await both((person) => person.forgetConnectionStates())
      await context.setOffline(true)
      // An open socket is only stalled by that.
      outage = world.faults.add({ kind: 'offline' })
      await world.sql`select public.chat_post_system(${booking}, ${MISSED})`
      await sleep(OUTAGE_MS)
      syncs = syncRequests()
    },
    async '3. ✅ Status changes to "disconnected"'() {
      await both(async (person) => assert.equal((await person.connectionStates())[0], 'disconnected'))
    },
    async '4. ✅ Offline banner appears'() {
      await both((person) => person.offlineBanner.waitFor({ timeout: 1000 }))
      await both(async (person) => assert.deepEqual(await person.connectionStates(), ['disconnected', 'banner']))
      await both(async (person) => assert.deepEqual(await person.texts(), [BEFORE]))
    },
    async '5. Reconnect internet'() {
      world.faults.remove(outage.id)
      await context.setOffline(false)
    },
    async '6. ✅ Status changes to "reconnecting"'() {
      await both((person) => until('reconnecting was shown', async () => (await person.connectionStates()).includes('reconnecting')))
    },
    async '7. ✅ Auto-reconnects'() {
      await until('both sockets are open again', () => world.faults.list().sockets === windows.length)
    },
    async '8. ✅ Messages reload to sync'() {
      // At once, and not when the next look around is due anyway.
      await both((person) => person.untilTexts([BEFORE, MISSED], RELOAD_S))
      assert.ok(syncRequests() > syncs)
    },
    async '9. ✅ Status changes to "connected"'() {
      await both((person) => person.untilConnection('connected'))
      await both(async (person) => assert.deepEqual(await person.connectionStates(), ['disconnected', 'banner', 'reconnecting', 'connected']))
      await both((person) => assert.deepEqual(person.exceptions, []))
    },
  })
})
