// The last tab closes, without a service worker, with a message under way: what the page hands to the browser as it goes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const world = useWorld()

const sends = () => world.faults.list().requests['/rest/v1/rpc/chat_send'] ?? 0

for (const [what, fault] of Object.entries({
  'no answer has come': { kind: 'lose_answer', match: 'send', count: 1 },
  'the request has not arrived': { kind: 'refuse', match: 'send', count: 1 },
  'the request is under way': { kind: 'delay', match: 'send', ms: 1500 },
})) {
  test(`the last tab closes when ${what}: one row, and after the next start none more`, async () => {
    const conversation = await addBooking(world)
    const context = await world.browser.newContext()
    const person = { user: world.users.operator, conversation }
    const chat = await openChat(world, context, person)
    await chat.untilConnected()
    const before = sends()
    const { id } = world.faults.add(fault)
    await chat.send('And one more thing')
    await until('it was tried', () => sends() > before)
    await chat.page.close()
    await assertStored(world, conversation, ['And one more thing'])
    world.faults.remove(id)
    const next = await openChat(world, context, person)
    await next.untilTexts(['And one more thing'])
    await until('nothing is pending', async () => (await next.view()).pendingCount === 0)
    await sleep(500)
    await assertStored(world, conversation, ['And one more thing'])
    await context.close()
  })
}
