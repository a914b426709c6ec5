// Site data that is deleted under a running page, by Chromium itself. (Its command for a small quota does not reach
// IndexedDB; a quota that is used up is shown in tests/browser/store.rs.)
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const world = useWorld()

test('site data is deleted under a running page: told, and the page goes on', async () => {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const chat = await openChat(world, context, { user: world.users.operator, conversation })
  await chat.untilConnected()
  await chat.sendAndWait('Before')
  const session = await context.newCDPSession(chat.page)
  const { origin } = new URL(world.harness.url)
  await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
  await until('it is told', async () => (await chat.events()).errors.includes('storage_lost'))
  assert.equal((await chat.sendAndWait('After')).error, undefined)
  await assertStored(world, conversation, ['Before', 'After'])
  await chat.untilTexts(['Before', 'After'])
  assert.deepEqual(chat.exceptions, [])
})
