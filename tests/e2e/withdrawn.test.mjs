// Somebody is taken out of a conversation while the page is open, and comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { row } from '../sql/support.mjs'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const world = useWorld()

/** A message of the operator, written by the server's own means. */
async function operatorSays(conversation, content) {
  const { sql, users } = world
  const claims = JSON.stringify({ role: 'authenticated', sub: users.operator.id })
  const batch = [row(conversation, content)]
  await sql.begin(async (tx) => {
    await tx`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', ${claims}, true)`
    await tx`select * from public.chat_send(${users.operator.id}, ${tx.json(batch)})`
  })
}

const errorIn = (chat) => chat.page.evaluate(() => window.view().error?.code ?? null)

test('who is no member any more sees nothing new and sends nothing; back again, everything goes on', async () => {
  const { sql, users } = world
  const conversation = await addBooking(world)
  const chat = await openChat(world, await world.browser.newContext(), { user: users.client, conversation })
  await chat.untilConnected()
  await operatorSays(conversation, 'before')
  await chat.untilTexts(['before'])

  await sql`delete from public.chat_members where conversation_id = ${conversation} and user_id = ${users.client.id}`
  await until('the page is told', async () => (await errorIn(chat)) === 'forbidden', 10)
  await operatorSays(conversation, 'meanwhile')
  const { error } = await chat.sendAndWait('not mine to say')
  assert.deepEqual([error.code, error.retryable], ['forbidden', false])
  await until('what was read is gone from this device, and what is unsent is not', async () => String(await chat.texts()) === 'not mine to say')
  await assertStored(world, conversation, ['before', 'meanwhile'])

  const members = [{ user_id: users.client.id, role: 'client' }]
  await sql`select public.chat_ensure(${conversation}, ${sql.json(members)})`
  await until('the rest is shown', async () => (await chat.texts()).includes('meanwhile'))
  assert.equal(await errorIn(chat), null)
  await chat.page.evaluate(() => window.conversation.retryFailed())
  await chat.untilAre(['not mine to say'], STORED)
  await assertStored(world, conversation, ['before', 'meanwhile', 'not mine to say'])
  assert.deepEqual(await chat.texts(), ['before', 'meanwhile', 'not mine to say'])
})
