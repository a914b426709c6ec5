import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, textsOf, useWorld } from './support/world.mjs'

const MEGABYTE = 'a'.repeat(1024 * 1024)
const NORMAL = 'An ordinary message.'

const world = useWorld()

async function openOperatorsChat(before) {
  const conversation = await addBooking(world)
  const chat = await openChat(world, await world.browser.newContext(), { user: world.users.operator, conversation, before })
  return { conversation, chat }
}

async function openOperatorsPage(before) {
  const booking = await addBooking(world)
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking, before })
  await operator.composer.waitFor()
  return { booking, operator }
}

/** Writes what cannot be accepted; the page must say why and give the text back. */
async function assertGivenBack(operator, text, words) {
  await operator.write(text)
  await operator.page.getByRole('alert').getByText(words).first().waitFor()
  await until('the composer has the text again', async () => (await operator.composer.inputValue()) === text)
  assert.deepEqual(await operator.texts(), [])
  assert.deepEqual(operator.exceptions, [])
}

const INVALID = [
  ['an empty text', '', 'empty_message'],
  ['a blank text', ' \n\t', 'empty_message'],
  ['1 MB of text', MEGABYTE, 'message_too_large'],
  ['a NUL character', 'a\0b', 'invalid_text'],
]

test('text that cannot be sent is rejected with a code, and leaves nothing behind', async (t) => {
  const { conversation, chat } = await openOperatorsChat()
  await chat.untilConnected()
  for (const [name, text, code] of INVALID) {
    await t.test(`${name}: ${code}`, async () => {
      for (const outcome of [await chat.send(text), await chat.sendAndWait(text)]) {
        assert.deepEqual([outcome.error?.isChatError, outcome.error?.code, outcome.error?.retryable], [true, code, false])
        assert.match(outcome.error.message, /^unable to send; because /)
      }
      assert.equal((await chat.view()).pendingCount, 0)
    })
  }
  await t.test('and the next message goes through', async () => {
    await chat.sendAndWait(NORMAL)
    await assertStored(world, conversation, [NORMAL])
    await chat.untilTexts([NORMAL])
    assert.deepEqual(chat.exceptions, [])
  })
})

test('the page gives such a text back and says why', async (t) => {
  const { booking, operator } = await openOperatorsPage()
  await t.test('1 MB of text', () => assertGivenBack(operator, MEGABYTE, 'The message is too long: more than 64 kB.'))
  await t.test('a NUL character', () => assertGivenBack(operator, 'a\0b', 'The message contains a character that cannot be sent.'))
  await t.test('and the next message goes through', async () => {
    await operator.write(NORMAL)
    await operator.untilShown(NORMAL, 'sent')
    await assertStored(world, booking, [NORMAL])
  })
})

test('a conversation that is not yours: forbidden; the text stays, as failed, and others are not held up', async () => {
  const { conversation, chat } = await openOperatorsChat()
  await chat.untilConnected()
  const { stranger } = world.users
  const [{ id: foreign }] = await world.sql`
    insert into public.bookings (title, customer, starts_at, operator_id) values ('Not yours', 'Nobody', now(), ${stranger.id}) returning id`
  const { message } = await chat.send(NORMAL, foreign)
  assert.equal(message.content, NORMAL)
  const { error } = await chat.sendAndWait('Let me in!', foreign)
  assert.deepEqual([error.isChatError, error.code, error.retryable], [true, 'forbidden', false])
  const kept = await chat.page.evaluate((id) => window.client.getPendingMessagesCount(id), foreign)
  assert.equal(kept, 2)
  assert.deepEqual(await textsOf(world, foreign), [])

  const reading = await chat.page.evaluate((id) => window.outcome(window.client.loadMessages(id)), foreign)
  assert.deepEqual([reading.error.isChatError, reading.error.code], [true, 'forbidden'])
  await chat.sendAndWait(NORMAL)
  await assertStored(world, conversation, [NORMAL])
  assert.deepEqual(chat.exceptions, [])
})

test('metadata with a field called __proto__ is what JSON makes of it: unsent, stored, read and remembered', async () => {
  const { operator, client } = world.users
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const metadata = '{"__proto__": {"deep": [{"__proto__": null}]}, "polite": true}'
  const cut = (page) => page.route('**/rest/v1/rpc/*', (route) => route.abort())
  const open = (context, user, before) => openChat(world, context, { user, conversation, before })
  const untilShown = (chat, states) => until('the metadata is whole', () => chat.page.evaluate(([metadata, states]) => {
    const plain = (value) => JSON.stringify(value, (_, inner) => (inner instanceof Object && !Array.isArray(inner) ? Object.entries(inner).sort() : inner))
    const [message] = window.view().messages
    return message && (!states || states.includes(message.delivery_status)) && plain(message.metadata) === plain(JSON.parse(metadata))
  }, [metadata, states]))

  const offline = await open(context, operator, cut)
  await offline.page.evaluate(([text, metadata]) => window.conversation.send(text, { metadata: JSON.parse(metadata) }).persisted.then(() => {}), [NORMAL, metadata])
  await untilShown(offline, ['sending', 'failed'])
  await offline.page.close()
  const again = await open(context, operator)
  await untilShown(again, STORED)
  const [{ same }] = await world.sql`select metadata = ${metadata}::text::jsonb as same from chat_messages where conversation_id = ${conversation}`
  assert.equal(same, true)
  await untilShown(await open(await world.browser.newContext(), client))
  await again.page.close()
  await untilShown(await open(context, operator, cut), STORED)
})

const WITHOUT_STORAGE = {
  'there is no IndexedDB': () => Object.defineProperty(window, 'indexedDB', { value: undefined }),
  'IndexedDB may not be used': () => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('denied', 'SecurityError')
    }
  },
}

for (const [name, breakStorage] of Object.entries(WITHOUT_STORAGE)) {
  test(`${name}: storage_unavailable, nothing is promised, and reading works`, async () => {
    const { conversation, chat } = await openOperatorsChat((page) => page.addInitScript(breakStorage))
    await chat.untilConnected()
    const { error } = await chat.send(NORMAL)
    assert.deepEqual([error.isChatError, error.code], [true, 'storage_unavailable'])
    assert.equal(await chat.page.evaluate(() => window.client.getSnapshot().durable), false)
    await world.sql`select public.chat_post_system(${conversation}, 'Can you read this?')`
    await until('the message of the system is shown', async () => (await chat.texts()).includes('Can you read this?'))
    assert.deepEqual(chat.exceptions, [])
  })
}

test('without IndexedDB the page gives the text back and says why', async () => {
  const { operator } = await openOperatorsPage((page) => page.addInitScript(WITHOUT_STORAGE['there is no IndexedDB']))
  await operator.page.getByText('This browser keeps no messages').waitFor()
  await assertGivenBack(operator, NORMAL, 'This browser does not let the chat keep messages.')
})

const WITHOUT_WASM = {
  'the server does not have it': (route) => route.fulfill({ status: 404, body: 'not found' }),
  'the network breaks': (route) => route.abort(),
  'it is something else': (route) => route.fulfill({ contentType: 'text/html', body: '<h1>Welcome</h1>' }),
}

test('wasm that cannot be loaded: wasm_unavailable, and it may be tried again', async (t) => {
  for (const [name, answer] of Object.entries(WITHOUT_WASM)) {
    await t.test(name, async () => {
      const { conversation, chat } = await openOperatorsChat((page) => page.route('**/*.wasm', answer))
      const { error } = await chat.send(NORMAL)
      assert.deepEqual([error.isChatError, error.code, error.retryable], [true, 'wasm_unavailable', true])
      const connecting = await chat.page.evaluate(() => window.outcome(window.client.connect()))
      assert.equal(connecting.error.code, 'wasm_unavailable')
      assert.ok((await chat.events()).errors.includes('wasm_unavailable'))

      await chat.page.unroute('**/*.wasm')
      await chat.send(NORMAL)
      await chat.untilAre([NORMAL], STORED)
      await assertStored(world, conversation, [NORMAL])
      assert.deepEqual(chat.exceptions, [])
    })
  }
})

test('without wasm the page gives the text back and says why, and it can be sent later', async () => {
  const { booking, operator } = await openOperatorsPage((page) => page.route('**/*.wasm', (route) => route.abort()))
  await assertGivenBack(operator, NORMAL, 'The chat could not be loaded.')
  await operator.page.unroute('**/*.wasm')
  await operator.page.getByRole('button', { name: 'Try again' }).click()
  await operator.untilConnection('connected')
  await operator.composer.press('Enter')
  await operator.untilShown(NORMAL, 'sent')
  await assertStored(world, booking, [NORMAL])
})
