import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, rowsOf, useWorld } from './support/world.mjs'

const world = useWorld()

test('tokens that expire with messages in flight fail nothing: all arrive, in order', async () => {
  const { operator: user } = world.users
  const conversation = await addBooking(world)
  let issued = 0
  const token = () => {
    issued++
    return world.tokenFor(user.id, { expiresIn: 2 })
  }
  const chat = await openChat(world, await world.browser.newContext(), { user, conversation, token })
  let unauthorized = 0
  chat.page.on('response', (response) => {
    if (response.url().endsWith('/rpc/chat_send') && response.status() === 401) unauthorized++
  })
  await chat.untilConnected()
  // Held until the token in it has run out.
  world.faults.add({ kind: 'delay', match: 'send', ms: 2500, count: 2 })
  const texts = Array.from({ length: 20 }, (_, index) => `Message ${index + 1}`)
  await chat.page.evaluate(async (texts) => {
    for (const text of texts) {
      await window.send(text).persisted
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }, texts)
  await chat.untilAre(texts, STORED)
  await assertStored(world, conversation, texts)
  await chat.untilTexts(texts)
  const { delivery } = await chat.events()
  assert.deepEqual(delivery.filter(({ status, retry_count }) => status === 'failed' || retry_count > 0), [])
  assert.ok(unauthorized > 0, 'a token did run out on the way')
  assert.ok(issued > 3, `${issued} tokens were asked for`)
  await chat.untilConnected()
})

test('messages wait while the session is refused, and go out with the next good token', async () => {
  const { operator: user } = world.users
  const conversation = await addBooking(world)
  const chat = await openChat(world, await world.browser.newContext(), { user, conversation })
  await chat.untilConnected()
  const refusal = world.faults.add({ kind: 'status', status: 401, user: user.id })
  await chat.send('Who am I?')
  await until('it waits for a token', async () => (await chat.view()).messages[0].phase === 'waiting_auth')
  await until('the app is told', async () => (await chat.status()) === 'needs_auth')
  world.faults.remove(refusal.id)
  await chat.untilAre(['Who am I?'], STORED)
  await chat.untilConnected()
  assert.deepEqual((await chat.events()).delivery.filter(({ status }) => status === 'failed'), [])
})

test('when somebody else signs in, nothing is sent under their name, and it goes out when the first is back', async () => {
  const { operator, client } = world.users
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  let signedIn = operator
  const chat = await openChat(world, context, { user: operator, conversation, token: () => world.tokenFor(signedIn.id) })
  await chat.untilConnected()
  await chat.sendAndWait('From the operator')

  signedIn = client
  await context.setOffline(true)
  await chat.send('Still from the operator')
  await until('its first attempt has failed', async () => (await chat.view()).messages.at(-1).phase === 'backing_off')
  await context.setOffline(false)
  await until('the app is told', async () => (await chat.status()) === 'needs_auth')
  const other = await openChat(world, context, { user: client, conversation })
  await other.sendAndWait('From the client')
  await other.untilTexts(['From the operator', 'From the client'])
  assert.deepEqual(other.sends.map(({ user, texts }) => [user, texts]), [[client.id, ['From the client']]])

  signedIn = operator
  await chat.untilAre(['Still from the operator'], STORED)
  assert.deepEqual([...new Set(chat.sends.map(({ user }) => user))], [operator.id])
  assert.deepEqual((await rowsOf(world, conversation)).map(({ sender_id, content }) => [sender_id, content]), [
    [operator.id, 'From the operator'], [client.id, 'From the client'], [operator.id, 'Still from the operator'],
  ])
  assert.deepEqual([...chat.exceptions, ...other.exceptions], [])
})
