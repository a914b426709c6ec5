import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { createMessagesTable, TABLE } from './support/ways.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const world = useWorld({ prepare: createMessagesTable })

for (const [name, source] of [['the managed schema', undefined], ['the app’s own table', TABLE]]) {
  test(`without a socket, messages come and go by polling: ${name}`, async () => {
    const booking = await addBooking(world)
    world.faults.add({ kind: 'refuse_sockets' })
    const [operator, client] = await Promise.all(['operator', 'client'].map(async (role) =>
      openChat(world, await world.browser.newContext(), {
        user: world.users[role], conversation: booking, options: { senderRole: role, ...(source && { source }) },
      })))
    await operator.sendAndWait('Is anybody there?')
    await client.untilTexts(['Is anybody there?'])
    await client.sendAndWait('I am.')
    await operator.untilTexts(['Is anybody there?', 'I am.'])
    await operator.untilAre(['Is anybody there?'], STORED)
    assert.notEqual(await operator.status(), 'connected')
    world.faults.clear()
  })
}
