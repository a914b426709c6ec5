import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { openChat, STORED } from './support/harness.mjs'
import { addBooking, assertStored, useWorld, whileForbidden } from './support/world.mjs'

const REFUSED = 'You cannot have this.'
const NEXT = 'But this you can.'

const world = useWorld()

const sendRequests = () => world.faults.list().requests['/rest/v1/rpc/chat_send'] ?? 0

// With a fresh token it is tried once more: the old one may have lacked the right.
const ATTEMPTS = 2

test('a 403 of the database is shown as failed with its reason, is not retried, and the next message goes through', async () => {
  const booking = await addBooking(world)
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking })
  await operator.untilConnection('connected')
  const before = sendRequests()
  await whileForbidden(world, async () => {
    await operator.write(REFUSED)
    await operator.untilShown(REFUSED, 'failed')
    await operator.message(REFUSED).getByText('You may not write in this conversation.').waitFor()
  })
  assert.equal(sendRequests() - before, ATTEMPTS)

  await operator.write(NEXT)
  await operator.untilShown(NEXT, 'sent')
  assert.equal(sendRequests() - before, ATTEMPTS + 1)
  await assertStored(world, booking, [NEXT])
  assert.match((await operator.statesOf(REFUSED)).at(-1), /^Failed/)

  await operator.retryButtonOf(REFUSED).click()
  await operator.untilShown(REFUSED, 'sent')
  await operator.untilTexts([NEXT, REFUSED])
  await assertStored(world, booking, [NEXT, REFUSED])
  assert.deepEqual(operator.exceptions, [])
})

test('programs read the reason, and it survives a reload of the page', async () => {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const user = world.users.operator
  const chat = await openChat(world, context, { user, conversation })
  await chat.untilConnected()
  await whileForbidden(world, async () => {
    const { error } = await chat.sendAndWait(REFUSED)
    assert.deepEqual([error.isChatError, error.code, error.retryable], [true, 'forbidden', false])
  })
  const [failed] = (await chat.view()).messages
  assert.equal(failed.phase, 'refused')
  const { message, ...failure } = failed.failure
  assert.deepEqual(failure, { code: 'forbidden', retryable: false, http_status: 403, pg_code: '42501' })
  assert.match(message, /^unable to .+; because /)
  await chat.send(NEXT)
  await chat.untilAre([NEXT], STORED)
  await chat.page.close()

  const again = await openChat(world, context, { user, conversation })
  await again.untilAre([REFUSED], ['failed'])
  await again.untilAre([NEXT], STORED)
  const kept = (await again.view()).messages.find(({ content }) => content === REFUSED)
  assert.deepEqual([kept.id, kept.phase, kept.failure], [failed.id, 'refused', failed.failure])
  assert.deepEqual(again.sends, [])
})
