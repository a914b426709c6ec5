import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, textsOf, useWorld } from './support/world.mjs'

const world = useWorld()

const TEXTS = ['On the way.', 'Ten minutes late.']

const signOut = (chat, options) => chat.page.evaluate((options) => window.client.signOut(options), options)
const remembered = (chat) => chat.page.evaluate((url) => localStorage.getItem(`surechat:user:${url}`), world.stack.url)

async function openOperator(context, conversation) {
  const chat = await openChat(world, context, { user: world.users.operator, conversation })
  await chat.untilConnected()
  return chat
}

/** Two messages that were tried and did not get through. */
async function unsent(chat) {
  world.faults.add({ kind: 'refuse', match: 'send' })
  for (const text of TEXTS) await chat.send(text)
  await until('both were tried', () => chat.sends.some(({ texts }) => texts.length === 2))
}

test('sign-out says what is unsent, forgets who it was, and keeps the messages for the next time', async () => {
  const context = await world.browser.newContext()
  const conversation = await addBooking(world)
  const chat = await openOperator(context, conversation)
  assert.equal(await remembered(chat), world.users.operator.id)
  await unsent(chat)
  assert.deepEqual(await signOut(chat), { unsent: 2, maybeSent: 2 })
  assert.equal(await remembered(chat), null)
  assert.equal(await chat.status(), 'disconnected')
  await chat.page.close()

  world.faults.clear()
  assert.deepEqual(await textsOf(world, conversation), [])
  const again = await openOperator(context, conversation)
  await again.untilTexts(TEXTS)
  await assertStored(world, conversation, TEXTS)
  assert.deepEqual(await signOut(again), { unsent: 0, maybeSent: 0 })
})

test('sign-out with discard deletes them', async () => {
  const context = await world.browser.newContext()
  const conversation = await addBooking(world)
  const chat = await openOperator(context, conversation)
  await unsent(chat)
  assert.deepEqual(await signOut(chat, { discard: true }), { unsent: 0, maybeSent: 0 })
  await chat.page.close()

  world.faults.clear()
  const again = await openOperator(context, conversation)
  assert.equal((await again.view()).pendingCount, 0)
  await again.sendAndWait('A new day.')
  await again.untilTexts(['A new day.'])
  await assertStored(world, conversation, ['A new day.'])
})

test('what was never sent is not counted as perhaps arrived', async () => {
  const context = await world.browser.newContext()
  const conversation = await addBooking(world)
  const chat = await openChat(world, context, { user: world.users.operator, conversation })
  await chat.untilConnected()
  const delay = world.faults.add({ kind: 'delay', match: 'send', ms: 8000 })
  await chat.send(TEXTS[0])
  await until('the first is under way', () => chat.sends.length === 1)
  await chat.send(TEXTS[1])
  assert.deepEqual(await signOut(chat), { unsent: 2, maybeSent: 1 })
  world.faults.remove(delay.id)
})
