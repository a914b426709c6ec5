import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, textsOf, useWorld, whileForbidden } from './support/world.mjs'

const world = useWorld()

const DRAFT = 'See you at six.'
const BETTER = 'See you at seven.'
const REGRETTED = 'I never liked your boat.'
const NEXT = 'The weather will be fine.'

/** The operator and the client in one conversation, each in a browser of their own. */
async function openBoth() {
  const conversation = await addBooking(world)
  const open = async (user) => openChat(world, await world.browser.newContext(), { user, conversation })
  const [operator, client] = [await open(world.users.operator), await open(world.users.client)]
  for (const chat of [operator, client]) await chat.untilConnected()
  return { conversation, operator, client }
}

const act = (chat, name, ...args) =>
  chat.page.evaluate(([name, args]) => window.outcome(window.conversation[name](...args)), [name, args])

/** The act was accepted and written down. */
async function done(chat, name, ...args) {
  assert.deepEqual((await act(chat, name, ...args)).error, undefined)
}

const send = async (chat, text) => (await chat.send(text)).message.id
const texts = (chat) => chat.sends.flatMap(({ texts }) => texts)
const pending = async (chat) => (await chat.view()).pendingCount
const shown = async (chat, id) => (await chat.view()).messages.find((message) => message.id === id)

/** Every row of the conversation, edits and deletes too. */
const everyRow = (conversation) => world.sql`
  select id, kind, target_id, content, edited_at is not null as edited, deleted_at is not null as deleted
  from public.chat_messages where conversation_id = ${conversation} order by seq`

const rowOf = async (id) => (await world.sql`
  select kind, content, edited_at is not null as edited, deleted_at is not null as deleted
  from public.chat_messages where id = ${id}`)[0]

/** Both screens show the message with its new text, as edited, and the server has it once. */
async function assertEdited({ conversation, operator, client }, id) {
  for (const chat of [operator, client]) {
    await until('the edit is shown', async () => {
      const message = await shown(chat, id)
      return message?.content === BETTER && message.edited_at !== null
    })
  }
  await operator.untilAre([BETTER], STORED)
  await until('nothing is pending', async () => (await pending(operator)) === 0)
  await assertStored(world, conversation, [BETTER])
  assert.deepEqual(operator.exceptions, [])
}

/** What is sent meanwhile waits in the lane, behind a request that is on its way: it was never sent. */
async function behindARequest(operator) {
  world.faults.add({ kind: 'delay', match: 'send', ms: 2500, user: world.users.operator.id, count: 1 })
  await send(operator, NEXT)
  await until('the request is on its way', () => operator.sends.length > 0)
}

test('edit after the server has it: both sides show the new text', async () => {
  const both = await openBoth()
  const { message } = await both.operator.sendAndWait(DRAFT)
  await both.client.untilTexts([DRAFT])
  await done(both.operator, 'edit', message.id, BETTER)
  await assertEdited(both, message.id)
  assert.deepEqual((await everyRow(both.conversation)).map(({ kind }) => kind), ['message', 'edit'])
})

test('edit while the request is on its way: the edit follows the message', async () => {
  const both = await openBoth()
  world.faults.add({ kind: 'delay', match: 'send', ms: 1500, user: world.users.operator.id, count: 1 })
  const id = await send(both.operator, DRAFT)
  await until('the request is on its way', () => both.operator.sends.length > 0)
  await done(both.operator, 'edit', id, BETTER)
  assert.equal((await shown(both.operator, id)).content, BETTER, 'the new text is shown at once')
  await assertEdited(both, id)
})

test('edit before it was ever sent: only the new text leaves the device', async () => {
  const { conversation, operator, client } = await openBoth()
  await behindARequest(operator)
  const id = await send(operator, DRAFT)
  await done(operator, 'edit', id, BETTER)
  await operator.untilAre([NEXT, BETTER], STORED)
  await assertStored(world, conversation, [NEXT, BETTER])
  assert.equal((await rowOf(id)).edited, false)
  await client.untilTexts([NEXT, BETTER])
  assert.ok(!texts(operator).includes(DRAFT))
})

test('edit while offline: it is shown at once, and arrives when the network is back', async () => {
  const both = await openBoth()
  await both.operator.page.context().setOffline(true)
  const id = await send(both.operator, DRAFT)
  await done(both.operator, 'edit', id, BETTER)
  assert.equal((await shown(both.operator, id)).content, BETTER)
  assert.deepEqual(await textsOf(world, both.conversation), [])
  await both.operator.page.context().setOffline(false)
  await until('both sides have it', async () => (await shown(both.client, id))?.content === BETTER)
  await assertStored(world, both.conversation, [BETTER])
  await until('nothing is pending', async () => (await pending(both.operator)) === 0)
})

test('an edit that cannot be accepted rejects with a code and changes nothing', async () => {
  const { conversation, operator } = await openBoth()
  const { message: { id } } = await operator.sendAndWait(DRAFT)
  for (const [content, code] of [['', 'empty_message'], [' \n', 'empty_message'], ['a\0b', 'invalid_text'], ['a'.repeat(70_000), 'message_too_large']]) {
    const { error } = await act(operator, 'edit', id, content)
    assert.deepEqual([error?.isChatError, error?.code], [true, code])
  }
  for (const name of ['cancel', 'discard']) assert.equal((await act(operator, name, 'no id')).error?.code, 'not_found')
  assert.equal((await act(operator, 'edit', '', BETTER)).error?.code, 'not_found')
  assert.equal((await act(operator, 'discard', id)).error?.code, 'not_found', 'it is sent')
  assert.equal(await pending(operator), 0)
  await assertStored(world, conversation, [DRAFT])
  assert.deepEqual(operator.exceptions, [])
})

test('cancel before it was ever sent: gone, and the server never hears of it', async () => {
  const { conversation, operator, client } = await openBoth()
  await behindARequest(operator)
  const id = await send(operator, REGRETTED)
  const sent = operator.page.evaluate((text) => {
    const handle = window.send(text)
    handle.cancel()
    return window.outcome(handle.sent)
  }, REGRETTED)
  await done(operator, 'cancel', id)
  assert.equal((await sent).error?.code, 'cancelled')
  await operator.untilTexts([NEXT])
  await operator.untilAre([NEXT], STORED)
  await operator.sendAndWait(DRAFT)
  assert.deepEqual((await everyRow(conversation)).map(({ content }) => content), [NEXT, DRAFT])
  assert.ok(!texts(operator).includes(REGRETTED))
  await client.untilTexts([NEXT, DRAFT])
})

test('cancel while offline: nobody ever sees it', async () => {
  const { conversation, operator, client } = await openBoth()
  await operator.page.context().setOffline(true)
  await until('it is known to be offline', async () => (await operator.status()) === 'disconnected')
  const id = await send(operator, REGRETTED)
  await done(operator, 'cancel', id)
  await done(operator, 'cancel', id)
  assert.deepEqual(await operator.texts(), [])
  assert.equal(await pending(operator), 0)
  await operator.page.context().setOffline(false)
  await operator.untilConnected()
  await operator.sendAndWait(NEXT)
  await assertStored(world, conversation, [NEXT])
  await client.untilTexts([NEXT])
  await operator.untilTexts([NEXT])
})

test('cancel when it has arrived but the answer is lost: it ends deleted, for both sides', async () => {
  const { operator, client } = await openBoth()
  const { id: user } = world.users.operator
  for (const fault of [{ kind: 'drop_live' }, { kind: 'refuse', match: 'sync' }, { kind: 'lose_answer', match: 'send' }]) {
    world.faults.add({ ...fault, user })
  }
  const id = await send(operator, REGRETTED)
  await until('it has arrived', async () => (await rowOf(id))?.kind === 'message')
  await done(operator, 'cancel', id)
  assert.equal(await pending(operator), 0)
  assert.deepEqual(await operator.texts(), [])
  world.faults.clear()
  await until('it is deleted on the server', async () => (await rowOf(id)).deleted)
  assert.equal((await rowOf(id)).content, '')
  await until('the other side shows it as deleted', async () => {
    const message = await shown(client, id)
    return message?.deleted_at !== null && message?.content === ''
  })
  await operator.sendAndWait(NEXT)
  assert.ok(!(await operator.texts()).includes(REGRETTED))
  assert.deepEqual(operator.exceptions, [])
})

test('cancel after the server has it: deleted for both sides, and twice is once', async () => {
  const { conversation, operator, client } = await openBoth()
  const { message: { id } } = await operator.sendAndWait(REGRETTED)
  await client.untilTexts([REGRETTED])
  await done(operator, 'cancel', id)
  await done(operator, 'cancel', id)
  for (const chat of [operator, client]) {
    await until('it is shown as deleted', async () => (await shown(chat, id))?.deleted_at !== null)
    assert.equal((await shown(chat, id)).content, '')
  }
  await until('it is deleted on the server', async () => (await rowOf(id)).deleted)
  await until('nothing is pending', async () => (await pending(operator)) === 0)
  assert.deepEqual((await everyRow(conversation)).map(({ kind }) => kind), ['message', 'delete'])
})

test('discard of a refused message: a late copy of its request does not bring it back', async () => {
  const { conversation, operator, client } = await openBoth()
  let original
  operator.page.on('request', (request) => {
    if (request.url().endsWith('/rpc/chat_send')) original ??= request
  })
  const id = await whileForbidden(world, async () => {
    const { error } = await operator.sendAndWait(REGRETTED)
    assert.equal(error.code, 'forbidden')
    return (await operator.view()).messages[0].id
  })
  await done(operator, 'discard', id)
  assert.deepEqual(await operator.texts(), [])
  assert.equal(await pending(operator), 0)
  await until('its place is taken', async () => (await rowOf(id))?.kind === 'delete')

  const { apikey, authorization } = original.headers()
  const answer = await fetch(original.url(), {
    method: 'POST', headers: { apikey, authorization, 'content-type': 'application/json' }, body: original.postData(),
  })
  assert.equal(answer.status, 200)
  assert.deepEqual(await textsOf(world, conversation), [])
  await operator.sendAndWait(NEXT)
  await client.untilTexts([NEXT])
  await operator.untilTexts([NEXT])
  assert.equal((await act(operator, 'discard', id)).error?.code, 'not_found')
})

test('edit of a refused message: it goes to the end as a new one', async () => {
  const { conversation, operator, client } = await openBoth()
  const id = await whileForbidden(world, async () => {
    await operator.sendAndWait(DRAFT)
    return (await operator.view()).messages[0].id
  })
  await operator.sendAndWait(NEXT)
  await done(operator, 'edit', id, BETTER)
  await operator.untilAre([BETTER], STORED)
  await assertStored(world, conversation, [NEXT, BETTER])
  await client.untilTexts([NEXT, BETTER])
  assert.equal(await shown(operator, id), undefined)
})
